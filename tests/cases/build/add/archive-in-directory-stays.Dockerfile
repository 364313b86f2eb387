FROM busybox
ADD dir /d/
ADD . /all/
