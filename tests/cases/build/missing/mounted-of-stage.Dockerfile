#: fails process "/bin/sh -c cat /x" did not complete successfully: open /opt/of/tool: no such file or directory
FROM busybox AS tools
FROM busybox
RUN --mount=from=tools,source=/opt/of/tool,target=/x cat /x
