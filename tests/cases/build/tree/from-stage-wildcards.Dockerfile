FROM busybox AS a
RUN mkdir -p /o/d1 /o/d2 && touch /o/f1 /o/f2 /o/d1/a /o/d2/b
FROM scratch
COPY --from=a /o/f* /x/
COPY --from=a /o/d* /y/
COPY --from=a /o/*/a /o/f1 /z/
