target "a" {
  resources = "x"
}
