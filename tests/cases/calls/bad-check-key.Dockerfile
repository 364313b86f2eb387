# check=error=true;nonsense=1
FROM scratch AS A
