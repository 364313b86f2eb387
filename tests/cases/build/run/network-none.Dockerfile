FROM busybox
RUN --network=none ls /sys/class/net > /net; ip addr | grep -c inet > /addresses
