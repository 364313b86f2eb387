FROM busybox
ENV A b c  d
LABEL l m n
MAINTAINER someone <s@example.org>
RUN echo "$A" > /a
