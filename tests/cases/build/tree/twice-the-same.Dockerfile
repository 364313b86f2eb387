FROM busybox
COPY dir /d
COPY dir /d
COPY f /f
RUN touch /f
COPY f /f
