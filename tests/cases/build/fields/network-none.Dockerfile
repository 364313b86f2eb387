#: target {"network": "none"}
FROM busybox
RUN ls /sys/class/net > /net
RUN --network=default ls /sys/class/net | wc -l > /count; true
