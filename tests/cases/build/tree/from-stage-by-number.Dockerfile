FROM busybox
RUN echo 0 > /0
FROM busybox
RUN echo 1 > /1
FROM scratch
COPY --from=0 /0 /
COPY --from=1 /1 /
