FROM busybox
RUN --mount=type=cache,id=om1,target=/c,uid=5,gid=6,mode=0711 stat -c "%a %u %g" /c > /1
RUN --mount=type=cache,id=om2,target=/c,uid=1000 stat -c "%a %u %g" /c > /2
RUN --mount=type=cache,id=om3,target=/c,mode=1777 stat -c "%a %u %g" /c > /3
USER bob
RUN --mount=type=cache,id=om4,target=/c,uid=1000,gid=1000 touch /c/mine
