FROM busybox
COPY --chmod=4755 --chown=bob:staff <<E /one
x
E
ADD --chown=5 <<E /two/three
x
E
COPY --chmod=u=rw,go= <<E /four
x
E
COPY --link <<E /five/
x
E
