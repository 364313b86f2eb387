FROM alpine
COPY <<EOF /a
one
two $MISSING
EOF
RUN <<EOF cat > /b
x
EOF
ENV a b
CMD x
