# escape=`
# check=skip=StageNameCasing
FROM scratch AS A
ENV a b
ENV c="x `
  y"
