ARG P=linux/amd64
ARG Q=x
FROM --platform=$P alpine AS a
FROM a
ARG Q
ARG TARGETARCH
ARG BUILDPLATFORM=override
