FROM busybox
RUN chmod 700 /
RUN chown 5:6 /
RUN touch /x
