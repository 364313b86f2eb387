FROM scratch
ENV a ÿþâ‚x
LABEL x="$UÃ©"
CMD ÿ

