target "a" {
  secret = ["src=x"]
}
