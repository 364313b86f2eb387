FROM busybox
RUN printf '#!/bin/sh\nfor w in "$@"; do printf "[%%s]" "$w"; done >> /said\n' > /own && chmod +x /own
SHELL ["/own", "-x", "y z"]
RUN one  two
RUN three \
  four
CMD five
ENTRYPOINT six
HEALTHCHECK CMD seven
