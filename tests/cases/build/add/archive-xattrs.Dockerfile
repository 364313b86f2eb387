FROM scratch
ADD xattrs.tar /x/
