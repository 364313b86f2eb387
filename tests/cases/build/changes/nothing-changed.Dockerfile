FROM busybox
RUN true
RUN true || false
RUN cat /etc/passwd > /dev/null
RUN mkdir /x && rmdir /x
