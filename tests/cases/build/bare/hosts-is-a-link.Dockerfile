FROM busybox
RUN mkdir /run && touch /run/hosts
COPY --from=busybox /etc/passwd /x
RUN true
