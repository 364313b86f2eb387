target "a" {
  pull = "True"
}
