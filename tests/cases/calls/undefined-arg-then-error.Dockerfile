FROM scratch AS a
ENV k v
FROM ${REQUIRED:?missing} AS b
