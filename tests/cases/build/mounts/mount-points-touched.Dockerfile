FROM busybox
RUN --mount=source=a.txt,target=/x/f chmod 700 /x && touch /x/g
RUN --mount=type=cache,id=touched,target=/y/c chown 5 /y
RUN --mount=type=secret,id=s,target=/z/s,required=false ls / > /list
