FROM busybox
RUN mkdir /t && touch /t/x && rm -r /t && touch /etc/x && rm /etc/x
RUN rm /etc/group && touch /etc/group
