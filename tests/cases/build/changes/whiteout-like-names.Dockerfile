FROM busybox
RUN touch /.whx "/.w" /..x && mkdir /.hidden && touch /.hidden/..\.
RUN rm /.whx /.w && rm -r /.hidden
