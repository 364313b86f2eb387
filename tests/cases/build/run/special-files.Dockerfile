FROM busybox
RUN mkfifo /fifo && mknod /null c 1 3 && mknod /block b 7 0 && ln -s nowhere /dangling
RUN mkdir -m 1777 /sticky && touch /suid && chmod 6755 /suid && touch "/name with spaces" "/$(printf 'caf\303\251')"
RUN chown 1000:50 /suid && chmod 700 /sticky && touch -d '2001-02-03 04:05:06' /old
