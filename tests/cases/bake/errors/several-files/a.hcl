target "a" {
  tags = [zz]
}
