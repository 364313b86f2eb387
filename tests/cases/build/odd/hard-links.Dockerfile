FROM scratch
COPY linked /l/
COPY linked/a linked/b /m/
COPY linked/in /n/
