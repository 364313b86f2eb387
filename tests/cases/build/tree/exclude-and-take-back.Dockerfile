FROM scratch
COPY --exclude=* --exclude=!sub/deep dir /1/
COPY --exclude=sub --exclude=!sub/y dir /2/
COPY --exclude=** . /3/
