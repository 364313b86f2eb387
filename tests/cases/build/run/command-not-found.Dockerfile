#: fails process "/bin/sh -c nosuchcommand" did not complete successfully: exit code: 127
#: fails nosuchcommand: not found
FROM busybox
RUN nosuchcommand
