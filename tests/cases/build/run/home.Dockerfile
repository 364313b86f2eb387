FROM busybox
RUN echo $HOME > /root-home
RUN mkdir -m 777 /s
USER bob
RUN echo $HOME > /s/1
ENV HOME=/set
RUN echo $HOME > /s/2
USER 4321
RUN echo $HOME > /s/3
ENV HOME=
RUN echo "[$HOME]" > /s/4
