target "a" {
  pull = 1
}
