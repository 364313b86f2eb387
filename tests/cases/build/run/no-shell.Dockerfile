#: fails process "/bin/sh -c true" did not complete successfully: exit code: 1
#: fails exec: "/bin/sh": stat /bin/sh: no such file or directory
FROM scratch
COPY Dockerfile /
RUN true
