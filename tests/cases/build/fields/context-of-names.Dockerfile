#: target {"contexts": {"base": "docker-image://busybox:1.35", "src": "$CONTEXT/other"}}
FROM base
COPY --from=src g /g
COPY --from=nginx:latest /etc/nginx/nginx.conf /c
RUN --mount=from=src,target=/m cat /m/g > /h
