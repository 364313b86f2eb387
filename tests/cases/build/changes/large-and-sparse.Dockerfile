FROM busybox
RUN dd if=/dev/zero of=/sparse bs=1k seek=9000 count=1 2>/dev/null && head -c 3000000 /dev/zero > /zeros
RUN echo x | dd of=/sparse bs=1 seek=4000000 conv=notrunc 2>/dev/null
