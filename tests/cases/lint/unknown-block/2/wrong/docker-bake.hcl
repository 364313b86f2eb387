target "default" { dockerfile-inline = "FROM scratch" }
target "default" {
  arg "x" {}
}
