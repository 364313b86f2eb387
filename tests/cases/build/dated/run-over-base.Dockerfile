FROM busybox
RUN echo one >> /etc/passwd && chmod 700 /home && chown 5:6 /var
RUN rm /etc/group && rm -r /usr && mkdir /usr && mkfifo /usr/fifo
