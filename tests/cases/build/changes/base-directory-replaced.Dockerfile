FROM busybox
RUN rm -r /home && ln -s /root /home
RUN rm -r /usr && mkdir /usr && echo one > /usr/only
RUN rm -r /var /tmp && touch /var
