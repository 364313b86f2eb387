FROM busybox
RUN mkdir -p /a/b/c/d && touch /a/1 /a/b/2 /a/b/c/3 /a/b/c/d/4
RUN rm /a/b/c/d/4
RUN rm -r /a/b/c
RUN rmdir /a/b 2>/dev/null || rm -r /a/b
RUN rm -r /a
