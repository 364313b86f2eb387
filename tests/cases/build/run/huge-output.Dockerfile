FROM busybox
RUN yes "a line that is printed very often" | head -c 6000000; echo end >&2; touch /done
