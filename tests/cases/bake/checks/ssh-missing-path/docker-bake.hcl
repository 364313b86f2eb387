target "a" {
  ssh = ["k=nope"]
}
