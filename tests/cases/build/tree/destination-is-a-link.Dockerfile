FROM busybox
RUN ln -s real /l && ln -s /deep/er /missing && ln -s loop2 /one && ln -s /target /loop2
COPY f /l
COPY f /missing
COPY f /one
