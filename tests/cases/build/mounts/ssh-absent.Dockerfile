FROM busybox
RUN --mount=type=ssh echo "[$SSH_AUTH_SOCK]" > /1; ls -d /run/buildkit 2>/dev/null > /2; true
