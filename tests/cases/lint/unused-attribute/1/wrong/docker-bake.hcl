target "default" { dockerfile-inline = "FROM scratch" }
targt = "x"
