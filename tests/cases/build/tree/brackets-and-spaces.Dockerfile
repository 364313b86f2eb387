FROM scratch
COPY [[]brack* /b/
COPY ["sp ace", "/s p/"]
COPY ["sp ace/é ü", "f", "/é/"]
