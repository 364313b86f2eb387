FROM busybox
RUN --mount=source=ld,target=/d ls /d > /1
RUN mkdir /real && ln -s real /l
RUN --mount=source=dir,target=/l ls /l /real > /2
RUN --mount=source=dir,target=/l/in/ner ls /real/in/ner > /3
