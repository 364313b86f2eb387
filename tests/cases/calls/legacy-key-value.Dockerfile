FROM scratch
ENV a b
LABEL c d e
ENV x=1 y=2
label k v
Env q r
LABEL e "f g" h
