FROM busybox
COPY f /x
COPY ff run.sh /x2/
COPY f ff /x2/
