target "a" {
  secret = ["id"]
}
