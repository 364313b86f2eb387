target "default" { dockerfile-inline = "FROM scratch" }
target "m" {
  matrix = { v = [] }
  name = v
}
