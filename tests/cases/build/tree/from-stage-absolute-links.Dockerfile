FROM busybox AS a
RUN mkdir -p /o/real && echo 1 > /o/real/f && ln -s /o/real /l && ln -s /o/real/f /lf && ln -s ../../../../o /o/real/up && ln -s l /l2
WORKDIR /o
FROM scratch
COPY --from=a /l /x/
COPY --from=a /lf /y/
COPY --from=a /l2/up/real/f /z
COPY --from=a o/real /rel/
