#: target {"args": {"HTTP": "$HTTP", "GIT": "$GIT"}}
FROM busybox
ARG HTTP
ADD $HTTP/file /named
ADD $HTTP/file /dir/
ADD $HTTP/tool $HTTP/file /both/
ADD $HTTP/tree.tar /kept/
