ARG BASE=alpine
ARG VERSION
FROM ${BASE}:${VERSION:-latest} AS a
FROM alpine:${VERSIO:-latest} AS b
FROM --platform=$BUILDPLATFRM alpine AS c
