target "default" { dockerfile-inline = "FROM scratch" }
target "m" {
  matrix = { v = ["x", "y"] }
  name = "m-${v}"
  dockerfile-inline = "FROM scratch"
}
