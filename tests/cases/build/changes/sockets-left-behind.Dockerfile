FROM debian:stable-slim
RUN perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un("/sock"))' && touch /beside && ls -l /sock | cut -c1
RUN rm /sock
