#: fails lstat /x/deep: not a directory
FROM busybox
RUN echo file > /x
COPY f /x/deep/er/f
