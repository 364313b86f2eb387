FROM busybox
RUN touch /proc-like && mkdir /sys2 && touch /dev-file
RUN ls -a / | grep -vE "^(\.dockerenv)$" > /listing
