FROM busybox
ADD --chown=5:6 kinds.tar /x/
ADD --chown=bob --chmod=600 kinds.tar /made/here
