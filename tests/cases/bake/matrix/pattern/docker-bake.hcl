target "m" {
  name = "m-${x}"
  matrix = { x = ["1", "2"] }
}
