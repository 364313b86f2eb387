target "a" {
  ssh = ["=nope"]
}
