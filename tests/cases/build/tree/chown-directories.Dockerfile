FROM busybox
RUN mkdir -p /old/in
COPY --chown=bob dir /d/e/f/
COPY --chown=3:4 dir /old/in
COPY --chown=9 f /old/new/f
