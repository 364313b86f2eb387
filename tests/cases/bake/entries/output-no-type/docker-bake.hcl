target "a" {
  output = ["dest=x,name=y"]
}
