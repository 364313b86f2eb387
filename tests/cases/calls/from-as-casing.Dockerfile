FROM scratch as one
from scratch AS two
From scratch As three
FROM scratch As four
from scratch as five
FROM scratch AS six
