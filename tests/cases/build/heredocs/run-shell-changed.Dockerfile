FROM busybox
SHELL ["/bin/sh", "-ec"]
RUN <<E
false || true
echo $- > /1
E
