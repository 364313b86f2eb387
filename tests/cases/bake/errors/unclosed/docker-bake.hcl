target "a" {
  tags = ["x"
