FROM busybox
ADD --chown=5:6 xattrs.tar /x/
ADD --chown=bob --chmod=600 xattrs.tar /made/here
