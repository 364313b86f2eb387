from scratch
env a=1
ENV b=1
Label c=1
