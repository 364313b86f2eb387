target "a" {
  output = null
}
