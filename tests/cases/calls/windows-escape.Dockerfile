# escape=`
FROM scratch
ENV a=1 `

  b=$MISSING
WORKDIR c:\\x
