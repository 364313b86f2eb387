FROM busybox
COPY --parents a/b/c/f1 /d/
COPY --parents dir/sub /e/
COPY --parents a/b dir/x /g/
COPY --parents f /h/
