FROM busybox
COPY --chown=bob:staff a.txt /named
COPY --chown=5 b.txt /made/by/number
COPY --chmod=640 dir /moded
COPY --chmod=u=rwX,go=rX a.txt /symbolic/a
COPY --chown=ghost a.txt /ghost
COPY --chmod=4755 a.txt /setuid
