#: fails failed to calculate checksum of ref
#: fails : "/config": not found
FROM busybox
RUN --mount=source=/config,target=/x true
