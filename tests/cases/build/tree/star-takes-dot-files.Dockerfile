FROM scratch
COPY * /all/
