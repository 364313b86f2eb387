FROM busybox AS a
RUN echo same > /same
FROM busybox AS b
RUN echo same > /same
FROM scratch
COPY --from=a /same /a
COPY --from=b /same /b
