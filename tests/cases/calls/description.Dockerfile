# check=experimental=all
# something else
FROM scratch AS a
# also something else
ARG X
# X is fine
ARG X=1
# Y and Z
ARG Y Z

# not attached

ARG W
# first line
# W last line names it
ARG W=2
# b
FROM scratch AS B
# unnamed stages need none
FROM scratch
