FROM busybox
RUN --mount=type=secret,id=nosuch [ ! -e /run/secrets ] && touch /optional
RUN --mount=type=secret,id=nosuch,target=/a/b/c [ ! -e /a ] && touch /optional2
