FROM busybox
RUN mkdir -p /x/d && touch /x/d/gone /x/d/old
ADD whiteouts.tar /x/
