FROM scratch
COPY --from=busybox /bin/busybox /bin/sh
USER 5:6
WORKDIR /w
RUN echo > here
USER 7
RUN echo $HOME > /w2 || true
