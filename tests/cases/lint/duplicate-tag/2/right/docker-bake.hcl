target "default" { dockerfile-inline = "FROM scratch" }
target "m" {
  matrix = { v = ["x", "y"] }
  name = v
  description = v
  dockerfile-inline = "FROM scratch"
  tags = ["app:${v}"]
}
