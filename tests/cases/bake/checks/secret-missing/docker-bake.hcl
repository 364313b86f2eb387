target "a" {
  secret = ["id=x,src=nope/f"]
}
