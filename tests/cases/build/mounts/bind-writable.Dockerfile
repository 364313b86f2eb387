FROM busybox
RUN --mount=target=/c,rw echo more >> /c/a.txt && touch /c/new && rm -r /c/dir && cat /c/a.txt > /1
RUN --mount=target=/c cat /c/a.txt > /2 && ls /c > /3
RUN --mount=target=/c,readwrite=true mkdir /c/made
RUN --mount=target=/c,readonly=false touch /c/y
RUN --mount=target=/c,ro ! touch /c/z 2>/dev/null
