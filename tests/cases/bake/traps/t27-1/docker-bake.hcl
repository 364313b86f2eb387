target "a" {}
target "b" {
  tags = ["é", zz]
}
