FROM --platform=linux/amd64 alpine AS a
FROM --platform=linux/amd64 alpine AS build_amd64
FROM --platform=linux/amd64 alpine AS my-linux
FROM --platform=linux/amd64 alpine
# check=skip=FromPlatformFlagConstDisallowed
FROM --platform=linux/amd64 alpine AS b
FROM --platform=amd64 scratch AS c
