FROM scratch
ENV A=1 B="x y"
LABEL l=1
CMD ["/x"]
