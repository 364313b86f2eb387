FROM scratch
ADD no-parents.tar /x/
