target "m" {
  name = "x"
  matrix = { x = "1" }
}
