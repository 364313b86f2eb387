target "a" {
  inherits = ["b"]
  network = "none"
}
target "b" { network = "host" }
