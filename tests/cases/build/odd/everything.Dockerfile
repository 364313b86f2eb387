FROM busybox
COPY . /all/
RUN rm -r /all/names /all/deep && mv /all/modes /modes && chmod 600 /all/linked/b
