FROM busybox
ARG U=bob
ENV G=50
COPY --chown=$U:${G} f /1
COPY --chown=${NONE:-6} f /2
