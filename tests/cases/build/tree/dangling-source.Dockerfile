#: fails not found
FROM scratch
COPY dang/ling /x
