FROM scratch
COPY xattrs /x/
COPY --chmod=600 --chown=5 xattrs/both /moved
