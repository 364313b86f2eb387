FROM debian:stable-slim
RUN perl <<E
open(F, ">/1"); print F "perl\n";
E
RUN <<E bash
[[ 1 -lt 2 ]] && echo bash > /2
E
