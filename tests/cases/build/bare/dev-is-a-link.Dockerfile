#: fails process "/bin/sh -c echo x > /x" did not complete successfully: exit code: 1
FROM busybox AS a
RUN mkdir -p /o && ln -s /elsewhere /o/dev
FROM scratch
COPY --from=a /o /
COPY --from=busybox /bin/busybox /bin/sh
RUN echo x > /x
