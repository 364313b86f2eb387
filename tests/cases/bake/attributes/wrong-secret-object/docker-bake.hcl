target "a" {
  secret = { id = "x" }
}
