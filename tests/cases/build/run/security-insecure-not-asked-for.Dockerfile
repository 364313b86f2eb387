#: fails security.insecure is not allowed
FROM busybox
RUN --security=insecure true
