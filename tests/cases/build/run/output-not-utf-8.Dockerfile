FROM busybox
RUN printf "\377\376\n"; printf "no newline"; printf "a\rb\n" >&2; printf "\033[31mred\033[0m\n"; seq 1 5000 | wc -c > /count
