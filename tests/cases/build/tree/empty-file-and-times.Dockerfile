FROM scratch
COPY empty /
COPY f /f
COPY hard f /linked/
COPY dir/x /dir/
