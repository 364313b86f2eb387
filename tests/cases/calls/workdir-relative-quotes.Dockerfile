FROM scratch AS g
WORKDIR "x y"/é
