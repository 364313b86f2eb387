#: target {"secret": ["id=s,src=$CONTEXT/secret.txt"]}
FROM busybox
RUN --mount=type=secret,id=s,env=TOKEN echo ${#TOKEN} > /1; [ ! -e /run/secrets/s ]
RUN --mount=type=secret,id=s,env=TOKEN,target=/both echo ${#TOKEN} > /2; wc -c < /both > /3
RUN --mount=type=secret,id=none,env=GONE echo "[${GONE-unset}]" > /4
ENV TOKEN=mine
RUN --mount=type=secret,id=s,env=TOKEN echo ${#TOKEN} > /5
RUN echo $TOKEN > /6
