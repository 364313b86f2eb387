# check=skip=A;wrong
FROM scratch AS A
ENV a b
