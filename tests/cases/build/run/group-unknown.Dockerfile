#: fails unable to find group nosuch: no matching entries in group file
FROM busybox
USER bob:nosuch
RUN true
