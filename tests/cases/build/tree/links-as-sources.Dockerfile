FROM scratch
COPY lf ldir labs chain /s/
COPY ldir /as-directory
COPY l* /glob/
COPY ldir/sub/y /through
COPY ldir/lsub/y /through2
