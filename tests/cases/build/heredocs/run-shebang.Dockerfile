FROM busybox
RUN <<E
#!/bin/sh -eu
echo "$0" > /1
E
RUN <<"E"
#!/usr/bin/env sh
echo $((1 + 2)) > /2
E
RUN ls -a /dev/pipes / 2>/dev/null | grep -c EOF > /3; true
