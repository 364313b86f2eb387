FROM busybox
RUN mkdir -p /d/in && touch /d/1 /d/in/2
RUN rm -rf /d && mkdir /d && touch /d/3
RUN rm -rf /d/3 && mkdir /d/3 && touch /d/3/4
