target "a" {
  inherits = ["b", "c"]
  args     = { X = "a" }
}
target "b" {
  inherits = ["a"]
  args     = { X = "b", Y = "b" }
  tags     = ["b"]
}
target "c" {
  args        = { Y = "c" }
  annotations = ["k=v"]
  contexts    = { lib = "target:lib" }
}
target "lib" {
  entitlements = ["security.insecure"]
}
