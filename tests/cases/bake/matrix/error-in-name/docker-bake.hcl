target "m" {
  name = "m-${y}"
  matrix = { x = ["1"] }
}
