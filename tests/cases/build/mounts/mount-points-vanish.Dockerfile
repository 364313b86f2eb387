FROM busybox
RUN --mount=type=tmpfs,target=/a/b/c touch /a/b/c/x
RUN --mount=type=tmpfs,target=/d/e/f touch /d/e/beside
RUN --mount=type=tmpfs,target=/g/h rmdir /g/h 2>/dev/null; touch /g/i && rm /g/i
RUN mkdir /have && touch -d "2001-01-01 00:00:00" /have
RUN --mount=type=tmpfs,target=/have/in true
RUN --mount=type=tmpfs,target=/have touch /have/hidden
