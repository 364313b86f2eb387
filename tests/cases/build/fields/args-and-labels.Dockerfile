#: target {"args": {"V": "a b", "W": null}, "labels": {"x": "1", "v": "over", "empty": ""}}
ARG V=1
FROM busybox
ARG V
ARG W=2
LABEL v=$V w=$W
RUN echo $V$W > /v
