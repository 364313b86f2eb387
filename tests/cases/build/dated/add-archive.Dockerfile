FROM busybox
ADD archive.tar /out/
ADD --chown=7:8 archive.tar /owned/
