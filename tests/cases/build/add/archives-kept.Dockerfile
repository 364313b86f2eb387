FROM busybox
ADD --unpack=false kinds.tar tree.tar.xz /x/
ADD --unpack=true tree.tar /y/
COPY tree.tar /z
