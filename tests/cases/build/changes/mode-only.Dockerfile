FROM busybox
RUN mkdir /d && touch /d/f && chmod 600 /d/f
RUN chmod 640 /d/f
RUN chmod 711 /d
RUN chmod 700 /etc /bin/busybox
