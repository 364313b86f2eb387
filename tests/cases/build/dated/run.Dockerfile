FROM busybox
RUN touch /file && mkdir -p /dir/sub && echo text > /dir/sub/text
RUN touch -d '2001-02-03 04:05:06' /ancient && touch -d '2030-01-01 00:00:00' /future
RUN rm /file && mv /dir /moved && ln -s moved /link && ln /moved/sub/text /hard
