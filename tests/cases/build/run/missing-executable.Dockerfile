#: fails process "/nosuch x" did not complete successfully: exit code: 1
#: fails exec: "/nosuch": stat /nosuch: no such file or directory
FROM busybox
RUN ["/nosuch", "x"]
