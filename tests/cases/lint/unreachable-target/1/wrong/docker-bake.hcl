target "default" { dockerfile-inline = "FROM scratch" }
target "a" { dockerfile-inline = "FROM scratch" }
