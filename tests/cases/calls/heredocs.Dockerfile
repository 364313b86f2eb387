FROM scratch
ENV <<A
RUN <<EOF
#!/bin/sh
echo
EOF
