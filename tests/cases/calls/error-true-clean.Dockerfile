# check=error=true;skip=LegacyKeyValueFormat
FROM scratch
ENV a b
