#: target {"secret": ["id=s,src=$CONTEXT/secret.txt"]}
FROM busybox
RUN --mount=type=secret,id=s stat -c "%a %u %g %s" /run/secrets/s > /1; ! (echo x > /run/secrets/s) 2>/dev/null
RUN --mount=type=secret,id=s,target=/etc/s,mode=0440,uid=5,gid=6 stat -c "%a %u %g" /etc/s > /2
RUN --mount=type=secret,id=s,mode=0755 stat -c "%a" /run/secrets/s > /3
RUN --mount=type=secret,source=s,dst=/x/y wc -c < /x/y > /4
RUN --mount=type=secret,target=s ls /s s 2>/dev/null > /5; true
RUN ls -d /run /etc/s /x 2>/dev/null > /6; true
WORKDIR /w
RUN --mount=type=secret,id=s,target=rel/s wc -c < /w/rel/s > /7
