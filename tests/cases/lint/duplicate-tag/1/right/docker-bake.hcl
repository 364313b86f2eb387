target "default" { dockerfile-inline = "FROM scratch" }
target "default" { tags = ["app"] }
target "b" {
  description = "d"
  dockerfile-inline = "FROM scratch"
  tags = ["app:b"]
}
target "c" {
  description = "d"
  dockerfile-inline = "FROM scratch"
  tags = ["app"]
  output = ["out"]
}
