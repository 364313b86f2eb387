#: target {"args": {"HTTP": "$HTTP", "GIT": "$GIT"}}
#: fails digest mismatch
FROM scratch
ARG HTTP
ADD --checksum=sha256:0eeddc2b2d2f11d0fbe7bf2ddda7e7e1c2a7dd09e0b58f1b3a8d7c2c8ce8b9d5 $HTTP/file /x
