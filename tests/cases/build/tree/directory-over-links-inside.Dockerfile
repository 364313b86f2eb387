FROM busybox
RUN mkdir -p /d && ln -s /etc/passwd /d/x && ln -s /tmp /d/other
COPY dir /d
