FROM alpine AS unused
CMD echo
FROM busybox AS used
WORKDIR x
FROM scratch
COPY --from=used /bin/true /
COPY --from=alpine /bin/false /
