FROM busybox
RUN mkdir -m 777 /s && echo "extra:x:60:bob" >> /etc/group
USER bob
RUN id > /s/1
USER bob:staff
RUN id > /s/2
USER root
RUN id > /s/3
USER bob:60
RUN id > /s/4
