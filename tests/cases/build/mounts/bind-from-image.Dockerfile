FROM busybox
RUN --mount=from=nginx:latest,source=/etc/nginx,target=/n cat /n/nginx.conf > /conf
RUN --mount=type=bind,from=alpine,target=/alp cat /alp/etc/alpine-release > /rel
