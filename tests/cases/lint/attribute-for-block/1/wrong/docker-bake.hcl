target "default" { dockerfile-inline = "FROM scratch" }
target = { a = {} }
