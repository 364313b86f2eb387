FROM busybox
ADD tree.tar /plain
ADD tree.tar.gz /gz/
ADD tree.tar.xz /xz
ADD --chown=1:2 tree.tar.bz2 /bz2
ADD --unpack=false tree.tar.gz /kept.tar.gz
ADD a.txt /a
