FROM scratch AS A
ENV a b
CMD x

