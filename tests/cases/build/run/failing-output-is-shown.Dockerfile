#: fails line 40
#: fails last words
#: fails exit code: 3
FROM busybox
RUN for i in $(seq 1 40); do echo line $i; done; echo last words >&2; exit 3
