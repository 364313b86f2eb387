FROM busybox
COPY linked/a /one
COPY linked/b /two
COPY linked linked/in /three/
RUN echo more >> /three/a
