FROM busybox
RUN --mount=type=cache,id=sh1,target=/c,sharing=locked touch /c/l && ls /c > /1
RUN --mount=type=cache,id=sh1,target=/c,sharing=private ls /c > /2
RUN --mount=type=cache,id=sh3,target=/c,sharing=shared --mount=type=cache,id=sh3,target=/d touch /c/x && ls /d > /3
