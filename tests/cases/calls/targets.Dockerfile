ARG B=alpine
# first is first
FROM --platform=$BUILDPLATFORM $B AS first

# second is not attached

FROM first AS second
# Third is described with a capital
FROM scratch AS Third
# third is lower
# third twice
FROM scratch AS thirD
FROM scratch
FROM scratch AS last
