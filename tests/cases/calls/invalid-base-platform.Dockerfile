FROM --platform=linux/arm64 alpine AS arm64
FROM --platform=linux/amd64 alpine AS amd64
FROM alpine AS plain
