FROM busybox
COPY dir /d
COPY dir/ /e/
COPY dir/. /g/h/i
