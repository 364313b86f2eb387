# something else
FROM scratch AS a
# also something else
ARG X
