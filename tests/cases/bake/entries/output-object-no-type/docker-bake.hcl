target "a" {
  output = [{ dest = "x" }]
}
