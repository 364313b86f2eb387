FROM busybox
COPY --parents **/nothing* /d/
COPY --parents no*/x /e
