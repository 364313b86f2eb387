FROM busybox AS a
RUN mkdir -p /o/in && echo 1 > /o/in/f && chown -R 5:6 /o && chmod 711 /o/in
FROM busybox
RUN --mount=type=cache,id=seed1,from=a,source=/o/in,target=/c ls -ln /c | awk "NR>1 {print \$1,\$3,\$4,\$NF}" > /1; echo 2 > /c/g; stat -c "%a %u" /c > /2
RUN --mount=type=cache,id=seed1,from=a,source=/o/in,target=/c ls /c > /3
RUN --mount=type=cache,id=seed2,from=busybox,source=/etc,target=/c,uid=9 ls /c > /4; stat -c "%a %u %g" /c /c/passwd > /5
