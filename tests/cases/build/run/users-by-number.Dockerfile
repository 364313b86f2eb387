FROM busybox
RUN mkdir -m 777 /s
USER 1000
RUN id > /s/1
USER 1000:7
RUN id > /s/2
USER 0:50
RUN id > /s/3
USER 70000:80000
RUN id > /s/4 && touch /s/file
