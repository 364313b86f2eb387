FROM scratch
ENV a=1 \

    b=2 \
    # a comment does no harm

    c=3
ENV d=1 \
    e=2
COPY a.txt \
    # only a comment
    /x
