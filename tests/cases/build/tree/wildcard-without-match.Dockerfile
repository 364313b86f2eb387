FROM busybox
COPY nomatch* /nothing/
COPY no*/x /nothing/else
