FROM busybox
RUN echo "eve:x:77:88::/:" >> /etc/passwd && echo "crew:x:99:" >> /etc/group
COPY --chown=eve f /1
COPY --chown=eve:crew f /2
RUN rm /etc/passwd
COPY --chown=eve f /3
