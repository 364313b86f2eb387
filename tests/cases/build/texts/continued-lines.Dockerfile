FROM busybox
RUN echo a \
# a comment inside
  b \

  c > /x
RUN echo "one \
two" > /y
COPY Dockerfile \
  /z\
/w
