target "a" {
  inherits = ["b"]
  annotations = ["a=1"]
}
target "b" {
  inherits = ["c"]
  annotations = ["b=1"]
}
target "c" {
  inherits = ["a"]
  annotations = ["c=1"]
}
