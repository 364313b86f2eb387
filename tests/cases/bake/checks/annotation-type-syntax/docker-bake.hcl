target "a" {
  annotations = ["Index:k=v"]
}
