target "a" {
  ulimits = ["core=x"]
}
