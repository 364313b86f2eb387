FROM busybox AS parent
ONBUILD RUN echo trigger > /triggered
ONBUILD COPY a.txt /copied
FROM parent AS child
RUN rm /copied
FROM child
RUN ls / > /ls
