FROM busybox
RUN echo f > /f && ln -s f /l
RUN rm /f && mkdir /f && touch /f/in
RUN rm /l && mkdir -p /l/deep
