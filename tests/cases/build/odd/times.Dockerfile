FROM scratch
COPY times /t/
COPY times/half times/before /
