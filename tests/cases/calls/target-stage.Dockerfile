FROM scratch AS one
ENV a b
FROM scratch AS two
LABEL c d
FROM one AS Three
CMD x
