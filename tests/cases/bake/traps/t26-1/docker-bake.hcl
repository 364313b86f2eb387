target "p" { args = { k = "p" } }
target "a" {
  inherits = ["p"]
  tags = ["t"]
}
target "b" { args = { x = target.a.tags[0], y = target.a.dockerfile } }
