target "default" { dockerfile-inline = "FROM scratch" }
varible "x" {}
