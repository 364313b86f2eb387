FROM scratch
MAINTAINER somebody
maintainer somebody else
# check=skip=MaintainerDeprecated
MAINTAINER nobody
