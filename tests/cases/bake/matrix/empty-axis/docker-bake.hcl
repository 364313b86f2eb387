target "m" {
  name = "m-${x}"
  matrix = { x = [] }
}
