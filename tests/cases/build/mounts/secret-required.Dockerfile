#: fails secret nosuch: not found
FROM busybox
RUN --mount=type=secret,id=nosuch,required true
