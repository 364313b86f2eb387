#: target {"args": {"HTTP": "$HTTP", "GIT": "$GIT"}}
FROM busybox
ARG GIT
ADD --chown=bob:staff $GIT /x
ADD --chmod=600 $GIT#v1:sub/deep /y/
ADD --link --chown=5:6 $GIT#v1 /z/
