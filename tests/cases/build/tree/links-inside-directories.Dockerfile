FROM scratch
COPY dir /in/
COPY dang /dang/
COPY a /a/
