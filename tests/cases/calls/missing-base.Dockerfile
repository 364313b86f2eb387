FROM scratch AS A
ENV a b
FROM no-such-image:1 AS b
ENV c d
