#: fails process "/program" did not complete successfully: exit code: 1
#: fails exec /program: exec format error
FROM busybox
COPY program /program
RUN ["/program"]
