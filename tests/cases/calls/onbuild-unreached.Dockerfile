FROM scratch AS base
ONBUILD ENV a b
ONBUILD LABEL c d
FROM base AS unreached
FROM scratch
