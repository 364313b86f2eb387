target "a" {
  output = ["type=local"]
}
