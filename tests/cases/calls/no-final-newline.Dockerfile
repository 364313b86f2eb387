FROM scratch
ENV a b
CMD x
