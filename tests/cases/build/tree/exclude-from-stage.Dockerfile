FROM busybox AS a
RUN mkdir -p /o/p && touch /o/1 /o/2 /o/p/1
FROM scratch
COPY --from=a --exclude=1 /o /x/
COPY --from=a --exclude=**/1 /o /y/
ADD --exclude=sub dir /z/
