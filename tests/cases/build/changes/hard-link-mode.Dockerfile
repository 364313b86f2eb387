FROM busybox
RUN mkdir /d && echo 1 > /d/a && ln /d/a /d/b && ln /d/a /c
RUN chmod 600 /d/b
RUN cp /d/a /d/n && mv /d/n /d/a
