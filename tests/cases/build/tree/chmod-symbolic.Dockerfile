FROM busybox
COPY --chmod=u=rwX,go=rX dir /1/
COPY --chmod=+x f /2
COPY --chmod=g=u,o-rwx f /3
COPY --chmod=a+w,+t ff /4
COPY --chmod=ug+s run.sh /5
COPY --chmod=go-r f /6/made/f
