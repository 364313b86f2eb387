FROM scratch
COPY --from=nginx:latest /etc/nginx/nginx.conf /nginx.conf
COPY --from=busybox /etc /etc
