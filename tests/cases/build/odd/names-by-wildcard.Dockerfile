FROM busybox
COPY names/caf* names/lat* /x/
COPY names/?? /y/
COPY names/*x* names/-* /z/
COPY ["names/a b", "/names/"]
