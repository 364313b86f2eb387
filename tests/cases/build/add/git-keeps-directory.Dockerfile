#: target {"args": {"HTTP": "$HTTP", "GIT": "$GIT"}}
#: varies git itself dates and numbers what it writes
FROM busybox
ARG GIT
ADD --keep-git-dir $GIT#v1 /x
RUN cat /x/.git/HEAD > /head; rm -r /x/.git
