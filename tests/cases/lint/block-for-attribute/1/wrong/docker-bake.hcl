target "default" { dockerfile-inline = "FROM scratch" }
target "default" {
  args {
    A = 1
  }
}
