FROM scratch
COPY --exclude=*.sh run.sh /1/
COPY --exclude=f* f* /2/
COPY --exclude=*.sh --exclude=.* --exclude=dir* . /3/
