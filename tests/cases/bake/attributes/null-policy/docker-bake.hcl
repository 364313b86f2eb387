target "a" {
  policy = null
}
