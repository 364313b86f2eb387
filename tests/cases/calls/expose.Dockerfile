FROM scratch
EXPOSE 80/TCP 80/tcp 81/Udp 82/sctp
EXPOSE 127.0.0.1:80:80 8080:80 [::1]:1:2/TCP 1-3 5000-5001:6000-6001
ARG P=90/TCP
EXPOSE $P ${UNDEFINED:-91}
# check=skip=ExposeInvalidFormat,ExposeProtoCasing
EXPOSE 1:2/UDP
