FROM busybox
WORKDIR /w/v
COPY f .
COPY ff ./
COPY run.sh ../up
COPY f /a/../b/./c/
COPY f sub/.
COPY f /../../top
COPY dir /x/.
