FROM busybox
COPY --link f /one/f
RUN rm /one/f
COPY --link f /one/f
RUN echo more >> /one/f
