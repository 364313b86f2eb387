FROM busybox
COPY --chown=5:6 --chmod=640 new old /both/
COPY --link tree /linked/deep/tree
COPY tree/sub/../new /renamed
COPY <<EOF /here
text
EOF
