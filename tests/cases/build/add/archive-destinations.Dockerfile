FROM busybox
WORKDIR /w
ADD tree.tar .
ADD tree.tar sub
ADD tree.tar /deep/er/
ADD tree.tar /
