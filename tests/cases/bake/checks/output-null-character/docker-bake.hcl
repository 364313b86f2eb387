target "default" {
  output = ["type=tar,dest=a\u0000"]
}
