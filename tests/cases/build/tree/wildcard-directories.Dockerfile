FROM scratch
COPY dir* /merged/
COPY a/b* /ab/
