FROM busybox
RUN --mount=type=cache,target=/cache --mount=type=bind,target=/context cp /context/new /copied && date > /cache/when
RUN --mount=type=tmpfs,target=/scratch/place touch /scratch/place/gone && mkdir /kept
