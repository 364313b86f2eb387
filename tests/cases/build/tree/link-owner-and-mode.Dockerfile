FROM busybox
RUN mkdir -p -m 1777 /t/u
COPY --link --chown=4:5 f /t/u/v/f
COPY --link --chmod=640 f /t/u/moded
COPY --link=false f /t/plain
