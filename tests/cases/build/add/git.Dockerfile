#: target {"args": {"HTTP": "$HTTP", "GIT": "$GIT"}}
FROM busybox
ARG GIT
ADD $GIT /x
ADD $GIT#v1 /y/
ADD $GIT#main:sub /z
