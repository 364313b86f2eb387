FROM scratch AS a
COPY --from=b /x /y
FROM scratch AS b
ENV q r
COPY --from=c /x /y
FROM scratch AS c
COPY --from=a /x \
   /y
