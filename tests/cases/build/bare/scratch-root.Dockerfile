FROM scratch
COPY --from=busybox /bin/busybox /bin/sh
RUN echo x > /x
