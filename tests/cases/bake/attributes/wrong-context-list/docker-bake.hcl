target "a" {
  context = ["x"]
}
