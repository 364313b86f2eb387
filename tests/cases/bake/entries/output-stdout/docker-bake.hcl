target "a" {
  output = ["-"]
}
