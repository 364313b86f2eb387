FROM busybox
ENV A="a \"b\" 'c'" B='$x "y"' C=d\ e F=\$G H="${I:-j k}"
RUN env | grep -E "^[A-H]=" | sort > /env
LABEL "a b"="c d" e='f\
 g'
RUN echo "$A" > "/with $H"
