target "m" {
  name = "m-${x}"
  matrix = { x = ["b", "a"] }
}
