FROM scratch AS first
ENV a b
FROM ${NOTHING} AS second
