FROM busybox
ADD --chown=5:6 late-directories.tar /x/
ADD --chown=bob --chmod=600 late-directories.tar /made/here
