FROM busybox
RUN mkdir /real && ln -s real /l && ln -s /new/place /l2
COPY f /l
COPY dir /l
COPY dir /l2/
