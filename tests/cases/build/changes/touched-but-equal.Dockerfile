FROM busybox
RUN echo x > /f && touch -d "2001-02-03 04:05:06" /f
RUN cp -p /f /g && rm /f && mv /g /f
RUN chmod 600 /f && chmod 644 /f
RUN echo x > /f && touch -d "2001-02-03 04:05:06" /f
