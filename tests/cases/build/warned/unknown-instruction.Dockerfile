#: fails StageNameCasing: Stage name 'Base' should be lowercase (line 1)
#: fails MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)
#: fails unknown instruction: COPPY
FROM scratch AS Base
MAINTAINER nobody
COPPY . /
