target "a" {
  ulimits = ["zz=1"]
}
