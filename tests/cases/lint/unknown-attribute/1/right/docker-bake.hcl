target "default" { dockerfile-inline = "FROM scratch" }
target "a" {
  description = "d"
  dockerfile-inline = "FROM scratch"
  tags = ["x"]
}
