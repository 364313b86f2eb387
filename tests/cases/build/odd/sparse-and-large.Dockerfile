FROM scratch
COPY sparse /s/
