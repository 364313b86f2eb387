#: target {"resources": {"memory-swap": "-2"}}
#: fails -2
FROM busybox
RUN true
