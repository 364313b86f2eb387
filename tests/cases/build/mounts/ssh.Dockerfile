#: target {"ssh": ["default=$AGENT"]}
FROM busybox
RUN --mount=type=ssh echo $SSH_AUTH_SOCK > /1; stat -c "%a %u %g %F" $SSH_AUTH_SOCK > /2
RUN --mount=type=ssh,id=default,target=/tmp/agent,mode=0660,uid=5,gid=6 echo $SSH_AUTH_SOCK > /3; stat -c "%a %u %g" /tmp/agent > /4
RUN ls -d /run/buildkit 2>/dev/null > /5; echo "[$SSH_AUTH_SOCK]" > /6
RUN --mount=type=ssh,required=true --mount=type=ssh,target=/second echo $SSH_AUTH_SOCK > /7; [ -S /second ]
