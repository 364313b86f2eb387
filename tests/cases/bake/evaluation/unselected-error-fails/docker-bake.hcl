target "a" {}
target "b" {
  tags = [zz]
}
