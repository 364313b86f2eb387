FROM busybox
ADD --chown=5:6 modes.tar /x/
ADD --chown=bob --chmod=600 modes.tar /made/here
