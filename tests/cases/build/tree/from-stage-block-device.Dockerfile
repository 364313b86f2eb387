#: differs x/loop: kind 'block', BuildKit 'char'; a block device that becomes a character device of that number is another device
FROM busybox AS a
RUN mkdir /o && mknod -m 600 /o/loop b 7 9
FROM busybox
COPY --from=a /o /x
