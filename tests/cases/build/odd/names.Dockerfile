FROM scratch
COPY names /n/
