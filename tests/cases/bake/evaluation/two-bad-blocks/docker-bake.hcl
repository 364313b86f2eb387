target "a" {
  tags = [zz]
}
target "b" {
  tags = "x"
}
