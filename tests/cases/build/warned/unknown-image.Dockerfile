#: fails InvalidDefaultArgInFrom: Default value for ARG Nowhere results in empty or invalid base image name (line 3)
#: fails repository name (library/Nowhere) must be lowercase
FROM busybox
ENV key value
FROM Nowhere
