#: fails failed to calculate checksum of ref
#: fails : "/out/of/tool": not found
FROM busybox AS tools
RUN mkdir /out
FROM busybox
RUN --mount=from=tools,source=/out/of/tool,target=/x cat /x
