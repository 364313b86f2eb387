FROM busybox
ARG D=/dyn
ENV S=dir
RUN --mount=target=$D,source=${S} ls $D > /1
RUN --mount=type=cache,id=var-$S,target=$D/c touch /dyn/c/x
RUN --mount=type=tmpfs,target=${D}/t,size=1m ls -d /dyn/t > /2
