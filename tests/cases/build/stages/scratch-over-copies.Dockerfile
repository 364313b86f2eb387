FROM busybox AS a
COPY Dockerfile /1
RUN rm /1 && mkdir /1 && touch /1/x
FROM scratch AS b
COPY --from=a /1 /1
FROM b
COPY --from=b /1/x /2
WORKDIR /3
