FROM scratch
COPY f* /w/
COPY */x /x/
COPY d?r /q/
COPY nomatch* f /n/
COPY a/*/f? /z/
COPY [e-l]* /r/
