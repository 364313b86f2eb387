target "a" {
  policy = [1]
}
