FROM busybox
WORKDIR /a//b/../c/
WORKDIR rel
RUN pwd > /pwd
USER 1234
WORKDIR /users/own
USER bob
WORKDIR /bobs
