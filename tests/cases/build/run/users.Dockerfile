FROM busybox
RUN mkdir -m 777 /shared
USER bob
WORKDIR /made/by/bob
RUN id -u > /shared/uid; id -g > /shared/gid; echo $HOME > /shared/home; pwd > /shared/pwd
USER 1234
RUN id -g > /shared/gid-of-number
USER bob:staff
RUN id > /shared/id
