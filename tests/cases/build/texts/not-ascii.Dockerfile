FROM busybox
ENV Ä=ö Z=日本
RUN env | grep -E "^(Ä|Z)=" | sort > /ünï; mkdir "/日本"
LABEL ключ=значение
WORKDIR /日本/é
COPY Dockerfile /ß/
CMD echo "ü"
