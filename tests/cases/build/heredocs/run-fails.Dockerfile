#: fails did not complete successfully: exit code: 5
#: fails before
FROM busybox
RUN <<E
echo before
exit 5
E
