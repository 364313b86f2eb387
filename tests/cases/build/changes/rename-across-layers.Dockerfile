FROM busybox
RUN mkdir -p /a/b/c && touch /a/b/c/f /a/g && ln /a/g /a/h
RUN mv /a/b /moved
RUN mv /moved/c/f /a/f && mv /a /z
RUN mv /bin/vi /bin/editor
