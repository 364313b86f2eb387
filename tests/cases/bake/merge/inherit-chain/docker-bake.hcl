target "a" {
  inherits = ["b"]
  args = { x = "a" }
}
target "b" {
  inherits = ["c"]
  args = { x = "b", y = "b" }
}
target "c" {
  args = { x = "c", y = "c", z = "c" }
  network = "host"
}
