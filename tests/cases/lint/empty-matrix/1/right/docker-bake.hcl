target "default" { dockerfile-inline = "FROM scratch" }
target "m" {
  matrix = { v = ["x"] }
  name = v
  description = "d"
  dockerfile-inline = "FROM scratch"
}
