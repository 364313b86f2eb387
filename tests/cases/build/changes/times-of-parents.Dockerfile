FROM busybox
RUN mkdir -p /p/q && touch /p/q/f && touch -d "2001-02-03 04:05:06" /p /p/q
RUN echo x > /p/q/f
RUN chmod 600 /p/q/f
RUN touch /p/q/g && touch -d "2001-02-03 04:05:06" /p/q
