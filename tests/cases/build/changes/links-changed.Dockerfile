FROM busybox
RUN ln -s one /l && ln -s two /m
RUN ln -sf two /l
RUN rm /m && mkfifo /m
RUN rm /m && ln -s two /m
