FROM busybox AS a
RUN mkdir -m 711 /o && echo 1 > /o/1 && chown -R 5:6 /o
FROM busybox
RUN mkdir -p -m 700 /p/o
COPY --link --from=a /o /p/o
COPY --link --from=a /o/1 /p/q/
RUN ls -ln /p/o | awk '{print $1,$3,$4,$NF}' > /seen
