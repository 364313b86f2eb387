# check=error=perhaps
FROM scratch AS A
