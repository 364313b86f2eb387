target "a" {
  resources = { memory = "x" }
}
