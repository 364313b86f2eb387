FROM debian:stable-slim AS tools
RUN cp /bin/true /tool && perl -e 'my ($file, $name, $value) = ("/tool", "security.capability", pack("H*", "0100000200040000000000000000000000000000")); syscall(188, $file, $name, $value, 20, 0) == 0 or die $!'
RUN cp -p /tool /plain && mv /tool /moved
FROM busybox
COPY --from=tools /moved /plain /a/
COPY --from=tools --chown=5 --chmod=711 /moved /b/
COPY --link --from=tools /moved /c/
RUN mv /a/moved /a/again && chmod 700 /b/moved
RUN chown 7 /a/again
