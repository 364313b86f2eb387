#: fails cannot copy to non-directory
FROM busybox
RUN mkdir /d && ln -s /tmp /d/sub
COPY dir /d
