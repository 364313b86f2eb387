FROM busybox
COPY a.txt /one
COPY a.txt b.txt /two/
COPY dir /three
COPY dir/ four/
WORKDIR /w
COPY *.txt ./
COPY ["a.txt", "with space/"]
COPY a.txt /bin/../five
