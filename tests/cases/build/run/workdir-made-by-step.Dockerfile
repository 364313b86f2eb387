FROM busybox
USER bob
WORKDIR /w/x
RUN pwd > /w/x/pwd; stat -c "%U %a" /w /w/x > /w/x/stat
USER root
RUN rm -r /w
RUN pwd > /pwd; touch here
