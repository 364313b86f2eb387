target "a" {
  output = ["type=local,dest=f/x"]
}
