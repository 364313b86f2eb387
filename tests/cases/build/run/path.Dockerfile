FROM busybox
RUN echo $PATH > /1
ENV PATH=/opt/bin:$PATH
RUN mkdir -p /opt/bin && printf "#!/bin/sh\necho mine\n" > /opt/bin/tool && chmod +x /opt/bin/tool
RUN tool > /2
ENV PATH=/bin
RUN echo $PATH > /3
ENV PATH=
RUN echo "[$PATH]" > /4
