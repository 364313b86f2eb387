#: target {"platforms": ["linux/amd64", "linux/arm64", "linux/arm/v7"]}
FROM scratch
ARG TARGETARCH
COPY dir /$TARGETARCH/
ENV ARCH=$TARGETARCH
WORKDIR /w
COPY --chmod=700 a.txt .
