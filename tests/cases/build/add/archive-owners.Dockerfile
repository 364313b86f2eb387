FROM scratch
ADD owners.tar /x/
