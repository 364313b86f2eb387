#: fails "/nosuch": not found
#: fails Dockerfile:2
#: fails >>> COPY nosuch /x
FROM scratch
COPY nosuch /x
COPY f /f
