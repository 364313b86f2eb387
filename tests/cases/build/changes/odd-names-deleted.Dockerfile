FROM busybox
RUN mkdir /o && touch "/o/a b" "/o/$(printf "\351")" "/o/$(printf "caf\303\251")" /o/-x
RUN rm -r /o/*
