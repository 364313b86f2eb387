#: target {"shm-size": "8m", "ulimits": ["nofile=100:200", "nproc=500:1000"]}
FROM busybox
RUN df -k /dev/shm | tail -n 1 | awk "{print \$2}" > /shm; ulimit -Sn > /soft; ulimit -Hn > /hard; ulimit -Su > /procs
