FROM busybox
COPY <<E /etc/hosts
127.0.0.1 own
E
COPY <<E /etc/resolv.conf
nameserver 192.0.2.1
E
RUN grep -c own /etc/hosts > /seen; true
