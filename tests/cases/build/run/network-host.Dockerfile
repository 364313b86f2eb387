#: target {"entitlements": ["network.host"]}
FROM busybox
RUN --network=host ls /sys/class/net | sort > /net
RUN --network=default true
