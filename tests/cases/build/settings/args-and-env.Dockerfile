#: target {"args": {"U": "given"}}
ARG BASE=busybox
FROM ${BASE}
ARG V=1
ARG U
ENV A="x $V" B=${U:-none}
RUN env | grep -E '^(A|B|V|U|HOME|PATH)=' | sort > /env
ENV V=2
RUN echo "$V" > /v
