FROM scratch
ADD empty.tar /x/
