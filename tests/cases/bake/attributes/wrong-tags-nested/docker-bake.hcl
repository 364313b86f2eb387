target "a" {
  tags = [["x"]]
}
