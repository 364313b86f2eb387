FROM busybox
COPY --chown=bob f /1/
COPY --chown=bob:staff f /2/
COPY --chown=bob: f /3/
COPY --chown=:staff f /4/
COPY --chown=root f /5/
COPY --chown=bob:7 f /6/
COPY --chown=7:staff f /7/
