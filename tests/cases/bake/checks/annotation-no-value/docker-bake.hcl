target "a" {
  annotations = ["k"]
}
