FROM scratch
COPY .* /dots/
COPY .config /config/
COPY .hidden .
