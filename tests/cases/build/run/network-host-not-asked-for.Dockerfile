#: fails network.host is not allowed
FROM busybox
RUN --network=host true
