#: target {"secret": ["id=s,src=$CONTEXT/secret.txt"]}
FROM busybox
RUN mkdir -m 777 /s
USER bob
RUN --mount=target=/c cat /c/a.txt > /s/1
RUN --mount=type=secret,id=s ! cat /run/secrets/s 2>/dev/null && touch /s/2
RUN --mount=type=secret,id=s,uid=1000 wc -c < /run/secrets/s > /s/3
RUN --mount=type=tmpfs,target=/t ! touch /t/x 2>/dev/null || touch /s/4
