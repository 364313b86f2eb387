target "m" {
  name = "m-${x}"
  matrix = { x = { p = "1", q = "2" } }
}
