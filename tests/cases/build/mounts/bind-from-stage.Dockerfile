FROM busybox AS a
RUN mkdir -p /o/in && echo 1 > /o/in/f && chown -R 5:6 /o && ln -s in /o/l
FROM busybox
RUN --mount=from=a,target=/m ls /m/o > /1; stat -c "%u %g" /m/o > /2
RUN --mount=from=a,source=/o/l,target=/m ls /m > /3
RUN --mount=from=a,source=o/in/f,target=/f cat /f > /4
RUN --mount=from=a,target=/m,rw rm -r /m/o && ! ls /m/o 2>/dev/null
RUN --mount=from=a,target=/m ls /m/o > /5
