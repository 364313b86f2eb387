FROM scratch AS a
WORKDIR app
WORKDIR more
FROM scratch AS b
WORKDIR /app
WORKDIR more
FROM b AS c
WORKDIR relative
FROM a AS d
WORKDIR relative
FROM alpine AS e
WORKDIR sub/dir
FROM scratch AS f
ENV D=/x
WORKDIR $D
FROM scratch AS g
WORKDIR ./x y
