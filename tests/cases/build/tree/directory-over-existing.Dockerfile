FROM busybox
RUN mkdir -p -m 700 /d/sub/deep && echo keep > /d/sub/keep && chown -R 5:6 /d && touch -d "2001-01-01 00:00:00" /d
COPY dir /d
