FROM busybox
RUN mkdir /d && echo kept > /d/f && echo kept > /f
RUN --mount=type=tmpfs,target=/d --mount=source=a.txt,target=/f ls /d > /1; cat /f > /2
RUN cat /d/f /f > /3
