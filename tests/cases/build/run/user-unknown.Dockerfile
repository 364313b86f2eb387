#: fails unable to find user nosuch: no matching entries in passwd file
FROM busybox
USER nosuch
RUN true
