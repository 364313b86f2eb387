FROM debian:stable-slim
RUN useradd -m someone && install -o someone -g someone -m 4750 /bin/true /home/someone/true
RUN sed -i 's/a/b/' /etc/debian_version && rm -rf /usr/lib/tmpfiles.d && mkdir -p /usr/lib/tmpfiles.d
