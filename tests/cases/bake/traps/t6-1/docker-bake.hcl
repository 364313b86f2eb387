target "a" {
  tags = ["t"]
  cache-from = ["c"]
  args = { k = "v" }
  contexts = { c = "x" }
  description = "d"
  target = "s"
}
target "b" {
  inherits = ["a"]
  tags = []
  cache-from = []
  args = { k = null }
  contexts = { c = "" }
  description = ""
  target = ""
}
