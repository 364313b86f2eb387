#: fails lstat /x/deep: not a directory
FROM busybox
RUN echo file > /x
WORKDIR /x/deep/er
