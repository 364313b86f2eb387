FROM scratch
ADD times.tar /x/
