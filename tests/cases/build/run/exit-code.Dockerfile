#: fails process "/bin/sh -c exit 42" did not complete successfully: exit code: 42
#: fails >>> RUN exit 42
#: fails  > [2/2] RUN exit 42:
FROM busybox
RUN exit 42
