target "a" {
  annotations = ["index[foo]:k=v"]
}
