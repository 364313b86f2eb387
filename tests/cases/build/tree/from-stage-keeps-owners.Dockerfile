FROM busybox AS a
RUN mkdir -p -m 2711 /o/in && echo 1 > /o/in/f && chown -R bob:staff /o && chmod 4755 /o/in/f
FROM busybox
COPY --from=a /o /x
COPY --from=a /o/in/f /y/
COPY --from=a --chown=3 /o /z/
COPY --from=a /o/in /existing/
