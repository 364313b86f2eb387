FROM scratch AS a
CMD ["a"]
CMD ["b"]
ENTRYPOINT ["a"]
entrypoint ["b"]
HEALTHCHECK CMD a
HEALTHCHECK \
  CMD b
HEALTHCHECK NONE
CMD ["c"]
FROM a AS b
CMD ["d"]
