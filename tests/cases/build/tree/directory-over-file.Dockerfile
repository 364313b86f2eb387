#: fails cannot copy to non-directory
FROM busybox
RUN touch /x
COPY dir /x
