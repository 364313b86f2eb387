FROM busybox
ENV A="x y" B=2
LABEL l="q\"r" m='$V'
USER bob
EXPOSE 80 53/udp 1000-1002
VOLUME /vol "/v2"
STOPSIGNAL 9
HEALTHCHECK --interval=5s --retries=3 CMD curl -f http://x/ || exit 1
SHELL ["/bin/sh","-ec"]
ENTRYPOINT ["/bin/e","x"]
CMD echo "hi" $A
MAINTAINER me <m@x>
ONBUILD RUN echo hi
