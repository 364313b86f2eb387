FROM scratch
ADD late-directories.tar /x/
