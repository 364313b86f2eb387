FROM busybox
ADD truncated.tar /x/
