target "a" {
  inherits = ["a"]
  args = { x = 1 }
}
