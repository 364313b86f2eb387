target "m" {
  name = "m"
  matrix = { x = [zz] }
}
