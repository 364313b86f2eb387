FROM busybox
RUN mkdir -p /real/in && ln -s real /rel && ln -s /real/in /abs && ln -s ../../../../real /real/in/up
COPY f /rel/f
COPY f /abs/
COPY dir /abs/up/d/
COPY ff /rel/in/up/ff
COPY ff /abs/../ff
