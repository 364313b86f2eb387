FROM busybox
COPY --chown=5:6 f /1/
COPY --chown=5 f /2/
COPY --chown=70000:2000000 f /3/
COPY --chown=0:0 dir /4/
