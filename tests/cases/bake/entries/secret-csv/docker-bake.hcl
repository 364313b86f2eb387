target "a" {
  secret = ["id=\"a"]
}
