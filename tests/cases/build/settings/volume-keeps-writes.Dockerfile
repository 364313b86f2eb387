FROM busybox
VOLUME /v
RUN mkdir -p /v && touch /v/1
COPY Dockerfile /v/2
VOLUME ["/w", "rel"]
RUN ls /v > /seen; ls -d /w 2>/dev/null >> /seen; true
