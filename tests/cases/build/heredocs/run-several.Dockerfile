FROM busybox
ARG V=val
RUN cat <<A - <<"B" > /1
$V
A
$V
B
