# check=experimental=InvalidDefinitionDescription,Nonsense;skip=all
# something else
ARG G
# something else
FROM scratch AS a
ENV a b
