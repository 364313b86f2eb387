FROM busybox
RUN echo 1 > /a
RUN ln /a /b
RUN ln /b /c && rm /a
RUN ln /bin/busybox /usr/bin/busybox
