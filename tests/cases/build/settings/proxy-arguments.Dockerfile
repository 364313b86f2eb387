#: target {"args": {"HTTP_PROXY": "http://proxy.example:1", "no_proxy": "a,b"}}
FROM busybox
RUN env | grep -i _proxy | sort > /env
RUN --network=none env | grep -ic _proxy > /count
ARG no_proxy
RUN echo $no_proxy > /np
