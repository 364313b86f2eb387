#: target {"args": {"HTTP": "$HTTP", "GIT": "$GIT"}}
FROM scratch
ARG HTTP
ADD $HTTP/file?a=b/c /x/
ADD "$HTTP/tree.tar#part" /y/
