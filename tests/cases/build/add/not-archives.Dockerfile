FROM busybox
ADD note.txt.gz one.zip nothing.tar not-an-archive.tar.gz /x/
ADD note.txt.gz /y
