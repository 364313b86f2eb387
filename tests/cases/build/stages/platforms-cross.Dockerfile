#: target {"platforms": ["linux/amd64", "linux/arm64"]}
FROM --platform=$BUILDPLATFORM busybox AS build
ARG TARGETARCH TARGETVARIANT
RUN echo "$TARGETARCH$TARGETVARIANT" > /arch
FROM scratch
COPY --from=build /arch /arch
CMD ["/arch"]
