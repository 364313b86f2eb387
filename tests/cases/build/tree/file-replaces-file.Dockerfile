FROM busybox
RUN echo old > /f && chmod 600 /f && chown 5:6 /f && ln /f /other
COPY f /f
