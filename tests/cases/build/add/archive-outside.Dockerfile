FROM scratch
ADD outside.tar /x/
