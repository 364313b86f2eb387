target "a" {
  tags = []
}
