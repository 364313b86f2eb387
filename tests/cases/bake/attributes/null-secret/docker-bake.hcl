target "a" {
  secret = null
}
