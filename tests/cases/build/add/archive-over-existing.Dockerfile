FROM busybox
RUN mkdir -p -m 700 /x/d && echo old > /x/d/f && ln /x/d/f /x/other && chown -R 9 /x && ln -s /x /l
ADD kinds.tar /x
ADD owners.tar /l/
