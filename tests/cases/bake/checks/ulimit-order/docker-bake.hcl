target "a" {
  ulimits = ["core=2:1"]
}
