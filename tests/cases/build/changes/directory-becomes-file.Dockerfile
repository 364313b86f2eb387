FROM busybox
RUN mkdir -p /d/in && touch /d/in/1
RUN rm -r /d && echo file > /d
RUN rm /d && ln -s /etc /d
RUN rm /d && mkdir /d && touch /d/x
