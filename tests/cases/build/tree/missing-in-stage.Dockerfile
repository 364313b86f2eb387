#: fails "/nosuch": not found
FROM busybox AS a
FROM scratch
COPY --from=a /nosuch /x
