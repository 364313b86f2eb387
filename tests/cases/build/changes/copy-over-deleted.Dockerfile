FROM busybox
COPY Dockerfile /d/a
RUN rm -r /d
COPY Dockerfile /d/b
RUN rm /d/b
