FROM busybox
RUN --mount=target=/c ls -R /c > /1; (touch /c/x) 2> /2 || true; stat -c "%a %u %g" /c/a.txt /c/dir > /3
RUN --mount=type=bind,target=/c,source=dir ls /c > /4; [ ! -e /c/a.txt ]
