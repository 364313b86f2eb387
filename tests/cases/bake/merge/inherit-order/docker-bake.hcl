target "a" { inherits = ["b", "c"] }
target "b" {
  tags = ["b"]
  annotations = ["b=1"]
  output = ["type=image"]
}
target "c" {
  tags = ["c"]
  annotations = ["c=1"]
  output = []
}
