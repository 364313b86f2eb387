target "a" {
  ssh = setunion(["a"], ["b"])
}
