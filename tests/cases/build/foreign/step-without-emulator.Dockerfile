#: target {"platforms": ["linux/arm64"]}
#: fails process "/bin/sh -c true" did not complete successfully: exit code: 1
#: fails exec /bin/sh: exec format error
FROM scratch
COPY program /bin/sh
RUN true
