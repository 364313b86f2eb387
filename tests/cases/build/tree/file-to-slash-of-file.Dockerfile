#: fails mkdir /x: not a directory
FROM busybox
RUN touch /x
COPY f /x/
