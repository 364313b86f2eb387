target "a" {
  ulimits = ["core=-1:5"]
}
