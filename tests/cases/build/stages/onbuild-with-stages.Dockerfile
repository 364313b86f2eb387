FROM busybox AS tool
RUN echo tool > /tool
FROM busybox AS parent
ONBUILD COPY --from=tool /tool /got
ONBUILD ARG V=1
ONBUILD RUN echo $V > /v
ONBUILD WORKDIR /w
ONBUILD USER bob
FROM parent
RUN id -u > /tmp/uid
