FROM alpine AS base
USER 7:8
WORKDIR /w/x
COPY --chown=1:2 --chmod=u=rw a.txt /a/
COPY --chown=bin --chmod=0640 --exclude=*.md . /b/
COPY --link --parents a.txt /c/
COPY <<E /inline
<&> $PATH
E
ADD http://127.0.0.1:9/x.tgz /remote/
ADD --checksum=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa --unpack=true http://127.0.0.1:9/y /r/
RUN --network=none --mount=type=tmpfs,target=/t,size=1m --mount=type=cache,id=k,target=/k,sharing=locked,uid=3 true
RUN --network=host --mount=type=secret,id=s,env=S,uid=1,gid=2,mode=0444 --mount=type=ssh,mode=0600,id=d true
RUN --mount=type=bind,from=busybox,source=/bin,target=/bb,rw true
RUN <<F
#!/bin/sh
true
F
FROM scratch
COPY --from=base / /
COPY --link --from=busybox / /
