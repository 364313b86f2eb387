#: target {"no-cache-filter": ["one"], "no-cache": false, "pull": true}
FROM busybox AS one
RUN echo 1 > /1
FROM one
RUN echo 2 > /2
