FROM scratch
COPY --chmod=600 dir /d/
COPY --chmod=u+x lf /followed
