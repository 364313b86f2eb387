FROM scratch
COPY special /s/
COPY --chmod=600 special/fifo /fifo
