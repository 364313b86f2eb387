FROM busybox
COPY modes /m/
COPY --chown=5:6 modes /owned/
