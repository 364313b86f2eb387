from scratch
ENV b=1
Label c=1
