target "a" {
  policy = ["foo=1"]
}
