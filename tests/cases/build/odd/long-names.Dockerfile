FROM scratch
COPY names/long /l/
COPY deep /d/
