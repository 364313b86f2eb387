FROM scratch
ADD twice.tar /x/
