FROM scratch
ADD modes.tar /x/
