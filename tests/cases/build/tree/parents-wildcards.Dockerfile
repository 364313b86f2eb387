FROM busybox
COPY --parents dir*/x /d/
COPY --parents */*/c /e/
COPY --parents d*/./sub /g/
