FROM busybox
COPY --link f ff dir /m/
COPY --link f* /n/
COPY --link . /all/
