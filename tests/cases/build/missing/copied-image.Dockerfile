#: fails example/tool:9: failed to resolve source metadata for docker.io/example/tool:9: docker.io/example/tool:9: not found
FROM scratch
COPY --from=example/tool:9 /tool /
