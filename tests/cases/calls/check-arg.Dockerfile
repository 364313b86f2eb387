# check=skip=all
FROM scratch AS A
ENV a b
# wrong
ARG X
