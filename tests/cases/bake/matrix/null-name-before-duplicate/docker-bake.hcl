target "a" {
  name = "a-${sanitize(x)}"
  matrix = { x = ["b", "b", null] }
}
