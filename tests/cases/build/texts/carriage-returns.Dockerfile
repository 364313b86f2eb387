FROM busybox
RUN echo a \
  b > /x
COPY <<E /h
line
E
ENV A=b
