#: fails "/a/b": not found
FROM busybox
COPY --parents a/b/./ /g/
