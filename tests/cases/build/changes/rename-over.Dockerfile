FROM busybox
RUN echo 1 > /1 && echo 22 > /2 && mkdir /d /e && touch /d/x /e/y
RUN mv /1 /2
RUN rm -r /e && mv /d /e
