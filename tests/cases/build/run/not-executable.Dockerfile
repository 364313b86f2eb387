#: fails process "/etc/passwd" did not complete successfully: exit code: 1
#: fails permission denied
FROM busybox
RUN ["/etc/passwd"]
