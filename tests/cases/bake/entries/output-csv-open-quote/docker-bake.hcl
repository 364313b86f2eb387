target "a" {
  output = ["\"type=image"]
}
