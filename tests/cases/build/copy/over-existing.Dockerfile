FROM busybox
RUN mkdir -p -m 700 /d/sub && echo old > /d/x && echo old > /d/sub/keep && chown -R 1000 /d
COPY dir /d
COPY a.txt /d/x
