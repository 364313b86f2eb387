FROM scratch
ADD long-gnu.tar /gnu/
ADD long-pax.tar /pax/
ADD long-ustar.tar /ustar/
