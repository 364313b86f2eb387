#: target {"args": {"HTTP": "$HTTP", "GIT": "$GIT"}}
FROM busybox
ARG HTTP
RUN mkdir -m 700 /x
ADD --link $HTTP/file /x/
ADD --link --chmod=640 --chown=7:7 $HTTP/tool /x/
