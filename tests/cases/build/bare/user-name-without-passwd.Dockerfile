#: fails unable to find user bob
FROM scratch
COPY --from=busybox /bin/busybox /bin/sh
USER bob
RUN true
