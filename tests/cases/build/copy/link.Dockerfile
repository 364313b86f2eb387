FROM busybox
RUN mkdir -m 1777 /t && mkdir /real && ln -s real /ln
COPY --link a.txt /t/x
COPY --link a.txt /ln/x
COPY --link --chown=7:8 dir /d/e/
