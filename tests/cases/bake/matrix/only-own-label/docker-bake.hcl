target "m" {
  name = "m"
  matrix = { x = ["1"] }
}
