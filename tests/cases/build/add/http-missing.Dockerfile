#: target {"args": {"HTTP": "$HTTP", "GIT": "$GIT"}}
#: fails invalid response status 404
FROM scratch
ARG HTTP
ADD $HTTP/nosuch /x
