target "a" {
  output = [1]
}
