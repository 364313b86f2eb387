#: target {"secret": ["id=token,src=$CONTEXT/secret.txt"]}
FROM busybox AS other
RUN mkdir /o && echo other > /o/f
FROM busybox
RUN --mount=target=/ctx ls -R /ctx | sort > /ctx-list; ! touch /ctx/x
RUN --mount=type=bind,from=other,source=/o,target=/mnt/deep/o,rw echo more > /mnt/deep/o/g; ls /mnt/deep/o > /from-other
RUN --mount=type=cache,target=/cache,uid=7,mode=0700 stat -c '%a %u' /cache > /cache-stat; echo kept > /cache/kept
RUN --mount=type=cache,target=/cache,uid=7,mode=0700 cat /cache/kept > /cache-kept
RUN --mount=type=tmpfs,target=/t,size=1m echo x > /t/x; df -k /t | tail -n 1 | awk '{print $2}' > /tmpfs
RUN --mount=type=secret,id=token stat -c '%a %u' /run/secrets/token > /secret-stat; wc -c < /run/secrets/token > /secret-size
RUN --mount=type=secret,id=token,target=/etc/deep/token,mode=0440,uid=5 stat -c '%a %u' /etc/deep/token > /secret2
RUN --mount=type=secret,id=token,env=TOKEN test -n "$TOKEN" && test ! -e /run/secrets/token
RUN --mount=type=secret,id=nosuch,env=NONE echo "[${NONE-unset}]" > /none
RUN --mount=type=bind,source=a.txt,target=/bin/b.txt cat /bin/b.txt > /file-bind
