FROM busybox
RUN mkdir -m 700 /d && chown 3 /d
COPY --parents --link a/b/f2 /d/
COPY --parents --exclude=**/deep dir /e/
