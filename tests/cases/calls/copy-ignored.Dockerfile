FROM scratch
COPY a.txt ignored.txt dir /x/
ADD ignored.txt http://127.0.0.1:9/ignored.txt /y/
COPY ./dir/../ignored.txt dir/ /z/
COPY . /all/
COPY / /all/
COPY --from=alpine ignored.txt /w/
COPY *.txt /v/
ADD --exclude=a.txt sub/deep/file /u/
