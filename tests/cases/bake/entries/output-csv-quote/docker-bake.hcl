target "a" {
  output = ["type=image,a\"b"]
}
