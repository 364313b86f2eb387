FROM busybox
RUN mkdir /m && for i in $(seq 1 400); do echo $i > /m/$i; done
RUN rm /m/*5 && chmod 600 /m/*7
