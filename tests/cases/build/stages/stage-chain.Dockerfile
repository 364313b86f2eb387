FROM busybox AS a
ENV A=1
WORKDIR /w
RUN echo $A > a
FROM a AS b
RUN cat a > b; echo "$A" >> b
ENV A=2
FROM b
RUN echo $A > c; rm a
