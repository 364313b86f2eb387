FROM scratch AS base
ONBUILD ENV a b
ONBUILD CMD echo $NOTHING
onbuild MAINTAINER_ x
FROM base AS child
CMD echo
