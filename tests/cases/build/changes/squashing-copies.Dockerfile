FROM busybox AS a
RUN mkdir /d && touch /d/1 /d/2
RUN rm /d/1 && ln /d/2 /d/3
FROM scratch
COPY --from=a / /
