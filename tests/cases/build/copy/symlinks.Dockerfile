FROM busybox
COPY link /followed
COPY links /kept/
RUN ln -s /kept /dest && ln -s /nowhere/x /dangling
COPY a.txt /dest/
COPY a.txt /dangling
