FROM busybox AS a
RUN mkdir /o && echo a > /o/a && echo both > /o/x
FROM busybox AS b
RUN mkdir -m 700 /o && echo b > /o/b && echo other > /o/x
FROM busybox
RUN mkdir /o && echo mine > /o/m
COPY --link --from=a /o /o
COPY --link --from=b /o /o
RUN rm /o/x && echo more >> /o/a
COPY --link --from=a /o/x /o/x
