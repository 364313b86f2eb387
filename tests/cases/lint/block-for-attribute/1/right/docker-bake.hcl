target "default" { dockerfile-inline = "FROM scratch" }
target "default" {
  labels = {
    A = 1
  }
}
