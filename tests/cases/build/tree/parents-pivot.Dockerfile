FROM busybox
COPY --parents a/./b/c /d/
COPY --parents ./dir/sub/./deep/z /e/
COPY --parents ./f ./dir/./x /h/
