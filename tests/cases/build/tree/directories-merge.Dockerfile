FROM busybox
COPY dir dir2 /m/
