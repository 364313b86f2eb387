FROM busybox
RUN ["/bin/sh", "-c", "echo \"$0\" \"$1\" > /args", "zero", "one two"]
RUN ["touch", "/$HOME"]
RUN ["/bin/mkdir", "-p", "/a b"]
