#: fails cannot replace to directory
FROM busybox
RUN mkdir -p /d/f
COPY f /d/
