#: target {"entitlements": ["security.insecure"]}
FROM busybox
RUN --security=insecure grep -E "^(Cap(Eff|Prm|Bnd)|NoNewPrivs|Seccomp:)" /proc/self/status > /status; mount -t tmpfs none /mnt 2>/dev/null || mkdir -p /mnt && mount -t tmpfs none /mnt && touch /mnt/x
RUN --security=sandbox mount -t tmpfs none /mnt 2> /refused || true
