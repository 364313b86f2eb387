target "a" {
  secret = ["id=a,foo=b"]
}
