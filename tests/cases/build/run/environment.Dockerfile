FROM busybox
RUN cat /etc/hosts > /hosts; hostname > /hostname; umask > /umask; ulimit -n > /nofile; cat /proc/self/status | grep -E '^(Cap|NoNewPrivs|Seccomp:)' > /caps
RUN --network=none ip link | grep -c UP > /links
RUN ls /proc/sys/kernel | wc -l > /dev/null; ls -d /dev/* | grep -v otel | sort > /devices; df -k /dev/shm | tail -n 1 | awk '{print $2}' > /shm
