FROM busybox AS p
CMD ["c"]
FROM p
ENTRYPOINT ["e"]
