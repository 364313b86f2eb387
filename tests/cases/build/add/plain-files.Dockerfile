FROM busybox
ADD a.txt b.txt dir /x/
ADD --chmod=4755 --chown=bob:staff a.txt /y
ADD --exclude=sub dir /z/
