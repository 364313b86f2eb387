#: fails process "/bin/sh -c true" did not complete successfully: exit code: 1
#: fails exec /bin/sh: argument list too long
FROM busybox
ENV A=0000000000000000000000000000000000000000000000000000000000000000
ENV A=$A$A
ENV A=$A$A
ENV A=$A$A
ENV A=$A$A
ENV A=$A$A
ENV A=$A$A
ENV A=$A$A
ENV A=$A$A
ENV A=$A$A
ENV A=$A$A
ENV A=$A$A
ENV A=$A$A
RUN true
