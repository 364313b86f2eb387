FROM busybox
RUN name=$(printf 'n%.0s' $(seq 1 120)); mkdir -p /$name/$name && echo x > /$name/$name/$name && ln -s /$name/$name/$name /$name/link && touch '/näme'
