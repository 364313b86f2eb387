target "a" {
  output = ["type=docker,dest=x.tar", "type=docker"]
}
