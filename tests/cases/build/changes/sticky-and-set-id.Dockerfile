FROM busybox
RUN mkdir -m 3777 /d && touch /d/f && chmod 6755 /d/f
RUN chown 5:6 /d/f
RUN touch /d/g && mkdir /d/sub
USER bob
RUN touch /d/h
