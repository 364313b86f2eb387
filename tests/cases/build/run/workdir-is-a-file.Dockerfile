#: fails /w
FROM busybox
RUN touch /w
WORKDIR /w
