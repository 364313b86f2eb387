# check=skip=StageNameCasing,LegacyKeyValueFormat
FROM scratch AS A
ENV a b
CMD x
