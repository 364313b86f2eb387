FROM busybox
COPY --parents dir/sub/y /p/
COPY --parents ./dir/./sub /q/
COPY --exclude=*.txt . /m/
COPY --exclude=sub dir /n/
