FROM busybox
ARG SOURCE_DATE_EPOCH
RUN echo "[$SOURCE_DATE_EPOCH]" | wc -c > /seen; touch /f
WORKDIR /w
COPY Dockerfile /x/
