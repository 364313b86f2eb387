#: fails "/nosuch": not found
FROM busybox
RUN --mount=source=nosuch,target=/x true
