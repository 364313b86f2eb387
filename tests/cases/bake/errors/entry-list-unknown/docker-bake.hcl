target "a" {
  output = ["type=image", zz]
}
