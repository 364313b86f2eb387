FROM busybox
RUN grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status > /status
RUN mkdir -m 777 /s
USER bob
RUN grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status > /s/bob
