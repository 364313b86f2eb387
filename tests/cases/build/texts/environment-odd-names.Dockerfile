FROM busybox
ENV a.b=c d-e=f
RUN env | grep -E "^(a.b|d-e)=" | sort > /env; true
