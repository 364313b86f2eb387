#: target {"args": {"HTTP": "$HTTP", "GIT": "$GIT"}}
FROM busybox
ARG GIT
ADD --exclude=*.sh --exclude=**/g $GIT#v1 /x/
ADD $GIT?tag=v1&subdir=sub /y/
