#: fails JSONArgsRecommended: JSON arguments recommended for CMD
#: fails lint violation found for rules: JSONArgsRecommended
# check=error=true
FROM busybox
CMD echo hello
