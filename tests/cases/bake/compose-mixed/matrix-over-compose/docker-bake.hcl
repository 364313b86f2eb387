target "m" {
  name = "a-${x}"
  matrix = { x = ["1", "2"] }
  inherits = ["a"]
}
