#: fails invalid user index: -1 || invalid user index -1
FROM busybox
COPY --link --chown=bob f /x
