FROM busybox AS a
RUN mkdir -p /o/real && ln -s real /o/etc
FROM scratch
COPY --from=a /o /
COPY --from=busybox /bin/busybox /bin/sh
RUN echo x > /x
RUN --mount=type=tmpfs,target=/etc/in/side true
