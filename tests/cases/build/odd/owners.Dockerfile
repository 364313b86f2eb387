FROM scratch
COPY owners /o/
COPY --chown=3000000:70000 owners/0 /p/q/r
