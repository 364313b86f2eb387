# escape=`
FROM busybox
RUN echo a `
  b > /x
COPY Dockerfile C:\x
ENV A=\n B=`$C
RUN echo "$A" > /a
