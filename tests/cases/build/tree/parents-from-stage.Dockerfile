FROM busybox AS a
RUN mkdir -p -m 711 /o/p/q && echo 1 > /o/p/q/1 && chown -R 5:6 /o && ln -s p /o/l
FROM busybox
COPY --parents --from=a /o/p/q/1 /d/
COPY --parents --from=a o/./p /e/
COPY --parents --from=a /o/l /g/
