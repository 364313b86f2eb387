FROM busybox
RUN mkdir -m 700 /w && chown 5:6 /w && ln -s w /l
USER bob
WORKDIR /w
WORKDIR /l/in
WORKDIR /etc
