#: fails nowhere: failed to resolve source metadata for docker.io/library/nowhere:latest: docker.io/library/nowhere:latest: not found
FROM nowhere
