FROM busybox
WORKDIR /w
RUN --mount=target=rel ls rel > list
RUN --mount=target=./deep/er,source=dir ls /w/deep/er > list2
RUN --mount=type=tmpfs,target=t touch t/x
