FROM scratch
COPY --exclude=x dir /1/
COPY --exclude=**/y dir /2/
COPY --exclude=sub/* dir /3/
COPY --exclude=sub/deep --exclude=x dir /4/
COPY --exclude=/x dir /5/
