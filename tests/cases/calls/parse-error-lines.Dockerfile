FROM scratch AS A
ENV a=1 \
    b \
    c=2
CMD y
