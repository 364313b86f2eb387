FROM scratch
COPY --from=busybox /bin/busybox /bin/sh
RUN --mount=type=tmpfs,target=/a/b --mount=type=cache,id=bare,target=/c true
RUN true
