FROM scratch
COPY <<E /x
E
COPY <<E /y/z
last line
E
