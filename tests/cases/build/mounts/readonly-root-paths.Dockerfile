FROM busybox
RUN --mount=target=/bin,from=busybox,source=/bin ls /bin | wc -l > /1
RUN --mount=type=tmpfs,target=/etc ls /etc > /2
RUN --mount=type=tmpfs,target=/dev/extra touch /dev/extra/x
