FROM busybox
RUN cat /etc/hosts > /hosts; hostname > /name; ls -l /etc/hosts | cut -c1-10 > /mode; (echo x >> /etc/hosts) 2> /refused || true
RUN rm -f /etc/hosts 2> /kept || true
