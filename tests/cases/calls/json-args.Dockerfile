FROM scratch AS a
CMD echo a
ENTRYPOINT echo a
FROM scratch AS b
SHELL ["/bin/bash", "-c"]
CMD echo a
ENTRYPOINT echo a
FROM scratch AS c
CMD ["echo", "a"]
ENTRYPOINT ["echo"]
FROM scratch AS d
cmd ['echo']
FROM b AS e
CMD echo inherits the shell
