FROM busybox
ENV X=v
COPY <<A <<"B" /h/
$X "\$X" 'q'
A
$X
B
COPY --chmod=755 --chown=3:4 <<script.sh /bin/script.sh
#!/bin/sh
echo hi
script.sh
