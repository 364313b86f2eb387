FROM busybox
RUN (sleep 300; touch /late) & echo started > /early
RUN ps | grep -c "[s]leep" > /left; true
