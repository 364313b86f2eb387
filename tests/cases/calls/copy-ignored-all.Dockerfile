FROM scratch
COPY . /
ADD / /
COPY a.txt /
