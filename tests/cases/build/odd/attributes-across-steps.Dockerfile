FROM busybox AS a
COPY xattrs /x
RUN cp -r /x /y; chown 5:6 /x/both; chmod 700 /x/attributes
FROM busybox
COPY --from=a /x /x
COPY --from=a /y /y
