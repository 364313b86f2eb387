# check=error=true
FROM scratch
ENV a b
