FROM scratch
# check=skip=LegacyKeyValueFormat;oops
ENV a b
# check=skip=LegacyKeyValueFormat
# check=skip=all
ENV c d
#check=skip=LegacyKeyValueFormat
ENV e f
# check=skip=LegacyKeyValueFormat

ENV g h
# check = skip=LegacyKeyValueFormat
ENV i j
