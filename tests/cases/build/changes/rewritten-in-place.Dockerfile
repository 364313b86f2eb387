FROM busybox
RUN echo one > /f && touch -d "2001-02-03 04:05:06" /f
RUN echo two > /f && touch -d "2001-02-03 04:05:06" /f
