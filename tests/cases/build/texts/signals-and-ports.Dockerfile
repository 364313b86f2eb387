FROM busybox
ARG P="90 91/udp"
EXPOSE $P 92-94/sctp
STOPSIGNAL SIGRTMIN+3
HEALTHCHECK --interval=1m30s --timeout=2s --start-period=500ms --start-interval=1s --retries=0 CMD ["a", "b"]
VOLUME a /b/../c
USER bob
