FROM busybox
RUN mkdir -p /x/d/f /x/named && touch /x/d/f/in /x/private /x/named/in
ADD modes.tar /x/
ADD kinds.tar /x/
