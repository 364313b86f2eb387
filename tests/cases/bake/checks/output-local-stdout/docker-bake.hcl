target "a" {
  output = ["type=local,dest=-"]
}
