#: target {"args": {"HTTP": "$HTTP", "GIT": "$GIT"}}
#: fails expected checksum to match
FROM scratch
ARG GIT
ADD --checksum=0123456789012345678901234567890123456789 $GIT#v1 /x
