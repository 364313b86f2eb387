FROM busybox
RUN mkdir -m 711 /old
COPY --chmod=640 dir /14/new/
COPY --chmod=2750 f /15/new/f
COPY --chmod=600 f /old/f
