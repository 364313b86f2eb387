FROM scratch
ADD root.tar /x/
