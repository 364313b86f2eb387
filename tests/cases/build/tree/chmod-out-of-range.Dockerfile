#: fails invalid chmod parameter
FROM busybox
COPY --chmod=17777 f /x
