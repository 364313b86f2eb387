FROM busybox
RUN touch /proc-like && mkdir /sys2 /out && touch /dev-file
RUN ls -a / | grep -vE "^(\.dockerenv)$" > /out/listing
