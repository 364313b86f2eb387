#: target {"args": {"B": "given"}}
FROM busybox
ARG A=1
ARG B
ENV C="c d" D=$A E=${B:-none} F=${A:+set}
RUN env | grep -E "^[A-F]=" | sort > /env
ARG A=2
RUN echo "$A" > /a
ENV A=3
RUN echo "$A" > /a3
