FROM scratch
ADD through-links.tar /x/
