FROM busybox
ADD --chown=5:6 owners.tar /x/
ADD --chown=bob --chmod=600 owners.tar /made/here
