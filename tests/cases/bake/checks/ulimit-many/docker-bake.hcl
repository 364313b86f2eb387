target "a" {
  ulimits = ["core=1:2:3"]
}
