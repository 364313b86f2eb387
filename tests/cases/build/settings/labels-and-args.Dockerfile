#: target {"args": {"V": "1 2"}, "labels": {"l": "x=y", "v": "over"}}
FROM busybox
ARG V
LABEL v=$V
RUN echo $V > /v
