FROM busybox
ENV X=v
COPY <<a <<"b" <<'c' <<-d /h/
$X ${X:-y} \$X
a
$X
b
${X}
c
		tabs $X
	d
