target "m" {
  matrix = { x = ["1", "2"] }
}
