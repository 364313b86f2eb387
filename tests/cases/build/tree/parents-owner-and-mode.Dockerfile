FROM busybox
COPY --parents --chown=bob:staff a/b/f2 /d/
COPY --parents --chmod=600 dir/sub/y /e/
COPY --parents --chmod=g+w dir/sub/deep /g/
