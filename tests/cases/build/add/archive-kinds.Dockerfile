FROM scratch
ADD kinds.tar /x/
