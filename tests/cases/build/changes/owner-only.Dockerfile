FROM busybox
RUN mkdir /d && touch /d/f
RUN chown 5:6 /d/f
RUN chown -R 7 /d
RUN chown -h 8 /bin/vi
