#: target {"target": "two"}
FROM busybox AS one
RUN echo 1 > /1
FROM one AS Two
RUN echo 2 > /2
FROM two
RUN exit 1
