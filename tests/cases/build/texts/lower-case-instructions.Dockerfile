from busybox as a
run echo 1 > /1
from a
copy --from=a /1 /2
env x=y
cmd ["z"]
