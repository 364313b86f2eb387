FROM busybox
COPY --chmod=4755 f /1
COPY --chmod=0 f /2
COPY --chmod=7777 f /3
COPY --chmod=1640 dir /4
COPY --chmod=0440 f ff /5/
