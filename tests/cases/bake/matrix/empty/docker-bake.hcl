target "m" {
  matrix = {}
}
