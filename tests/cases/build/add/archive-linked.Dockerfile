FROM busybox
RUN mkdir -m 700 /x && ln -s /etc /y
ADD --link tree.tar /x/
ADD --link --chown=3:4 kinds.tar /y/
