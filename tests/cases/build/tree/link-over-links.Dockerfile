FROM busybox
RUN mkdir -p -m 700 /real/sub && chown -R 7:7 /real && ln -s real /l && ln -s /etc /e
COPY --link f /l/f
COPY --link dir /e/
COPY --link f /real/sub/f
