FROM scratch
LABEL k v
