FROM busybox
ADD tree.tar.* /w/
ADD ki*.tar tr*.tar a.txt /v/
