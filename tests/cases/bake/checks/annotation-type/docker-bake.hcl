target "a" {
  annotations = ["foo:k=v"]
}
