FROM scratch
COPY --link f /f
COPY --link ff /f
COPY --link dir /d
