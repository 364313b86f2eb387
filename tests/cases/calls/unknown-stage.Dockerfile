FROM scratch
ENV a b
COPY --from=7 /x /y
ENV c d
