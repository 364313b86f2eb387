FROM scratch
COPY modes /m/
COPY modes/d* /merged/
COPY modes/4755 modes/d7777 /x/
