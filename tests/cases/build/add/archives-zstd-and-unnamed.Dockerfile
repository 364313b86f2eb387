FROM busybox
ADD tree.tar.zst /zst
ADD unnamed.data /data
ADD tree.tar.zst unnamed.data kinds.tar /all/
