#: fails "/ldir/x": not found
FROM scratch
COPY --parents ldir/x /d/
