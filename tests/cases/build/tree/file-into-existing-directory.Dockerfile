FROM busybox
RUN mkdir -m 700 /d && chown 5:6 /d
COPY f /d
COPY f /d/again
