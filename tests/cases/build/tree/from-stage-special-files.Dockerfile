FROM busybox AS a
RUN mkdir /o && mkfifo -m 640 /o/fifo && mknod /o/null c 1 3 && chown 5:6 /o/fifo
FROM busybox
COPY --from=a /o /x
COPY --from=a --chown=8 --chmod=600 /o /y
