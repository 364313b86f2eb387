#: target {"resources": {"memory": "32m"}}
#: fails did not complete successfully: exit code: 137
FROM busybox
RUN cat /dev/zero | head -c 200m | tail
