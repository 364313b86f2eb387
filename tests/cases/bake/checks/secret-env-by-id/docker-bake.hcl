target "a" {
  secret = ["id=TOK"]
}
