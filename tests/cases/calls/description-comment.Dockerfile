FROM scratch AS a
# check=experimental=InvalidDefinitionDescription
# wrong
ARG X
# wrong
ARG Y
# check=experimental=all;skip=LegacyKeyValueFormat
ENV a b
