FROM busybox
RUN --mount=type=bind,source=a.txt,target=/etc/passwd cat /etc/passwd > /1
RUN --mount=type=bind,source=a.txt,dst=/new/deep/file cat /new/deep/file > /2
RUN --mount=type=bind,source=la,target=/l cat /l > /3
RUN --mount=source=tool,target=/bin/tool tool > /4
