target "a" {
  secret = ["id=a,type=x"]
}
