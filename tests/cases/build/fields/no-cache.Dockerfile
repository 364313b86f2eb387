#: target {"no-cache": true}
FROM busybox AS one
RUN : fresh; echo 1 > /1
COPY f /f
