FROM busybox
COPY --parents **/x /d/
COPY --parents a/**/f* /e/
COPY --parents dir/**/y /g/
COPY --parents a/./**/f1 /h/
