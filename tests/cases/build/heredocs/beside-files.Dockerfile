FROM busybox
COPY Dockerfile <<E /x/
text
E
ADD <<E Dockerfile /y/
text
E
