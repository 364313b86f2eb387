#: fails did not complete successfully: exit code: 137
FROM busybox
RUN sh -c "kill -9 \$\$"; exit $?
