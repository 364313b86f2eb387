FROM scratch
ARG A=1
