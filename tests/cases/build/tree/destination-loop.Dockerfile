#: fails too many links
FROM busybox
RUN ln -s b /a && ln -s a /b
COPY f /a/x
