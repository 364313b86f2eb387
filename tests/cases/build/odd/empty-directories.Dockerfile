FROM scratch
COPY empty /e
COPY empty/in /f/
COPY --parents empty /g/
