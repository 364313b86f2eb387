#: target {"resources": {"cpu-shares": 512, "cpu-period": 50000, "cpu-quota": 25000}}
FROM busybox
RUN : processors; for file in $(find /sys/fs/cgroup/ -name memory.limit_in_bytes -o -name cpu.shares -o -name cpu.cfs_quota_us -o -name cpu.cfs_period_us -o -name cpuset.cpus \
      -o -name memory.max -o -name cpu.max -o -name cpu.weight); do echo "$(basename $file) $(cat $file)"; done | sort > /limits
RUN echo other > /other
