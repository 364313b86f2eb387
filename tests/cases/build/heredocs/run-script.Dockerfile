FROM busybox
RUN <<E
set -e
a=1
echo "$a $HOME" > /1
for i in 1 2; do
  echo $i
done > /2
E
RUN <<-"E"
	if true; then
		echo tab > /3
	fi
	E
