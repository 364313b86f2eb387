# check=skip=all
from scratch AS A
ENV a b
CMD x
