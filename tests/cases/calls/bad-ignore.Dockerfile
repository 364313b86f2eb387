FROM scratch
ENV a b
COPY a.txt /
