FROM busybox
RUN umask > /umask; ulimit -n > /n; ulimit -c > /c; touch /f; mkdir /d; cat /proc/self/oom_score_adj > /oom
