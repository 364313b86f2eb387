target "a" {
  output = ["type=tar,dest=d"]
}
