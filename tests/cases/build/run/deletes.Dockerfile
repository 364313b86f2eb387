FROM busybox
RUN mkdir -p /a/b /c && touch /a/1 /a/b/2 /c/3 && ln /a/1 /c/hard
RUN rm -r /a/b && rm /c/3
RUN rm -r /a && mkdir /a && touch /a/new
RUN rm -rf /c && ln -s a /c
