FROM scratch
ADD climbing.tar /x/y/z/
