target "a" {
  ulimits = ["zz"]
}
