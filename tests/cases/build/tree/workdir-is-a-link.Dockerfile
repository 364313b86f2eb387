FROM busybox
RUN mkdir /real && ln -s real /work
WORKDIR /work/in
COPY f .
WORKDIR /work
COPY ff sub/
