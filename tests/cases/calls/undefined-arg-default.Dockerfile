FROM alpine:${UNKNOWN:-latest} AS a
FROM --platform=${TARGETOS}/${TARGETARC:-amd64} alpine AS b
# check=skip=UndefinedArgInFrom
FROM alpine:${UNKNOWN:-latest} AS c
