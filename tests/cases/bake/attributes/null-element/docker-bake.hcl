target "a" {
  tags = ["x", null]
}
