#: fails open /out/link: no such file or directory || "/out/link": not found
FROM busybox AS tools
RUN mkdir /out && ln -s nowhere /out/link
FROM busybox
RUN --mount=from=tools,source=/out/link,target=/x cat /x
