#: fails no SSH key "key" forwarded from the client || unset ssh forward key key
FROM busybox
RUN --mount=type=ssh,id=key,required true
