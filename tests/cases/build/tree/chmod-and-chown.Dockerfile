FROM busybox
ARG M=750
COPY --chmod=$M --chown=bob:staff dir f /x/
COPY --chown=9 --chmod=a=r f /y/z/f
