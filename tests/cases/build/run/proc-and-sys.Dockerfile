FROM busybox
RUN for f in /proc/kcore /proc/keys /proc/timer_list /proc/sysrq-trigger /proc/asound /proc/acpi /proc/scsi /sys/firmware; do echo "$f $(ls -ld $f 2>&1 | cut -c1-10) $(cat $f 2>&1 | wc -c)"; done > /masked
RUN for f in /proc/sys/kernel/hostname /proc/irq/x /proc/bus/x /proc/sysrq-trigger /sys/x; do (echo x > $f) 2>&1; done > /readonly; true
RUN awk '$2 !~ /otel|hosts|resolv|cgroup|^\/$/ {print $2}' /proc/mounts | sort > /mounts
