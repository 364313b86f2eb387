FROM scratch
COPY --from=busybox /bin/busybox /bin/sh
COPY Dockerfile /sys2
RUN echo x > /x
WORKDIR /w
RUN echo y > y
