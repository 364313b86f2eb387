FROM busybox AS a
RUN mkdir /o && echo 1 > /o/a && ln /o/a /o/b && mkdir /o/c && ln /o/a /o/c/d && ln -s a /o/s && ln /o/s /o/s2
FROM scratch
COPY --from=a /o /x
COPY --from=a /o/a /o/b /y/
COPY --from=a /o/c /z
