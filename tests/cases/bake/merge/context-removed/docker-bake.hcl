target "a" {
  inherits = ["b"]
  contexts = { x = "" }
}
target "b" { contexts = { x = "1", y = "2" } }
