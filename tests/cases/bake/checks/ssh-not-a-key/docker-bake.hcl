target "a" {
  ssh = ["k=f"]
}
