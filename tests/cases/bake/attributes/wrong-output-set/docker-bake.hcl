target "a" {
  output = setunion(["a"], ["b"])
}
