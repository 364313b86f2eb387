target "a" {
  output = "x"
}
