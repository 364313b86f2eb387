#: fails ADD cut.tar
FROM busybox
ADD cut.tar /x/
