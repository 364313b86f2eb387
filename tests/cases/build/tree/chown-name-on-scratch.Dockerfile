#: fails invalid user index: -1 || invalid user index -1
FROM scratch
COPY --chown=bob f /x
