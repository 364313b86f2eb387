FROM busybox
ENV A=/x B=y
WORKDIR $A/$B
WORKDIR ${C:-z}
RUN pwd > /pwd
WORKDIR "/q r"
COPY Dockerfile .
