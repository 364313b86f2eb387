#: target {"resources": {"memory": "100m", "memory-swap": "-1"}}
FROM busybox
RUN : memory-and-swap; for file in $(find /sys/fs/cgroup/ -name memory.limit_in_bytes -o -name cpu.shares -o -name cpu.cfs_quota_us -o -name cpu.cfs_period_us -o -name cpuset.cpus \
      -o -name memory.max -o -name cpu.max -o -name cpu.weight); do echo "$(basename $file) $(cat $file)"; done | sort > /limits
RUN echo other > /other
