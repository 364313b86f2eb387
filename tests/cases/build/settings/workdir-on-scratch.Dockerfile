FROM scratch
WORKDIR /a/b
WORKDIR ../c
COPY Dockerfile .
