FROM busybox
WORKDIR /a/b
WORKDIR c
COPY old .
USER 5
WORKDIR /owned/by/user
