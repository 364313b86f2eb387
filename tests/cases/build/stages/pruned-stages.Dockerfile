FROM nosuchimage:1 AS never
RUN exit 1
FROM busybox AS base
RUN echo 1 > /1
FROM base AS unused
RUN exit 1
FROM base
RUN echo 2 > /2
