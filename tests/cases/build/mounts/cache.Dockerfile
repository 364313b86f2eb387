FROM busybox
RUN --mount=type=cache,target=/cache/plain stat -c "%a %u %g" /cache/plain > /1 && echo 1 > /cache/plain/f
RUN --mount=type=cache,target=/cache/plain cat /cache/plain/f > /2
RUN --mount=type=cache,id=named,target=/one echo n > /one/f
RUN --mount=type=cache,id=named,target=/two cat /two/f > /3
RUN --mount=type=cache,id=named,target=/three,ro ls /three > /4; ! touch /three/x 2>/dev/null
RUN ls -d /cache /one /two /three 2>/dev/null > /5; true
