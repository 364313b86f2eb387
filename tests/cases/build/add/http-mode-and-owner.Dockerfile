#: target {"args": {"HTTP": "$HTTP", "GIT": "$GIT"}}
FROM busybox
ARG HTTP
ADD --chmod=755 $HTTP/tool /bin/tool
ADD --chown=bob:staff $HTTP/file /x/
ADD --chmod=u=rwx,go=rx --chown=5 $HTTP/tool /y/z/
RUN tool > /said
