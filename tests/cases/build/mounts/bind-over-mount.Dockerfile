FROM busybox
RUN --mount=target=/c --mount=source=dir,target=/c/dir/sub ls /c/dir/sub > /1
RUN --mount=source=dir,target=/x --mount=type=tmpfs,target=/x/sub ls /x/sub > /2; touch /x/sub/t
