FROM busybox
RUN mkdir /d && ln -s /etc/passwd /d/f && ln -s nowhere /d/ff
COPY f ff /d/
