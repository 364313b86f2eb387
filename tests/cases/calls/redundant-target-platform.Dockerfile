FROM --platform=$TARGETPLATFORM alpine AS a
FROM --platform=${TARGETPLATFORM} alpine AS b
FROM --platform=${TARGETPLATFORM:-linux/amd64} alpine AS c
FROM --platform=$BUILDPLATFORM alpine AS d
FROM --platform=$TARGETOS/$TARGETARCH alpine AS e
FROM --platform=${TARGETPLATFORM}${EMPTY} alpine AS f
