FROM scratch
ENV a=1
env b=1
Env c=1
eNV d=1
