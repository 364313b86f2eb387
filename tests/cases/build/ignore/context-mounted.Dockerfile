FROM busybox
RUN --mount=target=/c find /c -type f | sort > /seen
COPY deep /d/
ADD *.md *.txt /x/
