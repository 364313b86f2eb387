#: target {"args": {"HTTP": "$HTTP", "GIT": "$GIT"}}
#: fails nosuch
FROM scratch
ARG GIT
ADD $GIT#nosuch /x
