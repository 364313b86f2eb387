FROM busybox
RUN mkdir /x && echo 1 > /x/a && ln /x/a /x/b && ln /x/b /x/c
RUN echo 2 >> /x/b
RUN rm /x/a
