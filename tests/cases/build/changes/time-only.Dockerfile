FROM busybox
RUN echo x > /f && mkdir /d && ln -s f /l
RUN touch -d "2001-02-03 04:05:06" /f
RUN touch -d "2001-02-03 04:05:06" /d
RUN touch -h -d "2001-02-03 04:05:06" /l
