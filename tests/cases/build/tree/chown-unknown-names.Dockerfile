FROM busybox
COPY --chown=ghost f /1/
COPY --chown=bob:ghosts f /2/
COPY --chown=ghost:ghosts dir /3/
