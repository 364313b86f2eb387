FROM busybox AS build
RUN mkdir -p /out/in && chmod 711 /out/in && echo 1 > /out/in/f && ln /out/in/f /out/hard && ln -s in /out/soft && chown -R 1000:50 /out
FROM scratch
COPY --from=build /out /result
COPY --from=0 /out/soft /soft/
COPY --from=build /out/hard /out/in/f /both/
