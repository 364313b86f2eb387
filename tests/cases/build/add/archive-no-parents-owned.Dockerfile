FROM busybox
ADD --chown=5:6 no-parents.tar /x/
ADD --chown=bob --chmod=600 no-parents.tar /made/here
