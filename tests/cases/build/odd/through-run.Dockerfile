FROM busybox
RUN --mount=target=/c cp -a /c/names /c/modes /c/linked /c/empty /c/times / && cp -a /c/special/fifo /fifo
