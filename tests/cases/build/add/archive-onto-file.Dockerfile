#: fails mkdir /x: not a directory
FROM busybox
RUN touch /x
ADD tree.tar /x
