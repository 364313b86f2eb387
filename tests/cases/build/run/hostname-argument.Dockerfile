#: target {"args": {"BUILDKIT_SANDBOX_HOSTNAME": "buildhost"}}
FROM busybox
RUN hostname > /name; grep buildhost /etc/hosts > /line
