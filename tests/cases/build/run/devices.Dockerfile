FROM busybox
RUN for d in /dev/*; do [ -L $d ] && echo "$d link" || stat -c "%n %F %t %T %a %u %g" $d; done | grep -vE "otel|core" > /devices
RUN echo x > /dev/null; head -c 4 /dev/zero | od > /zero; head -c 8 /dev/urandom | wc -c > /random; echo x > /dev/full 2> /full || true; [ -c /dev/tty ]; touch /dev/shm/x; ls /dev/pts > /pts
