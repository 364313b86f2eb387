target "a" {
  secret = ["id=tok"]
}
