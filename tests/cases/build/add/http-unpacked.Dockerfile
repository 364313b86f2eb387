#: target {"args": {"HTTP": "$HTTP", "GIT": "$GIT"}}
FROM scratch
ARG HTTP
ADD --unpack $HTTP/tree.tar.gz /x/
ADD --unpack=true --chown=8:9 $HTTP/tree.tar /y/
ADD --unpack $HTTP/file /z/
