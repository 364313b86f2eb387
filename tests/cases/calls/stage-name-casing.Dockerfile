FROM scratch AS Base
COPY a.txt /
FROM scratch as UPPER
FROM scratch AS lower.case-1_2
