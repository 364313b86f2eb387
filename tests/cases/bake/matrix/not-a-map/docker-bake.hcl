target "m" {
  name = "x"
  matrix = ["1"]
}
