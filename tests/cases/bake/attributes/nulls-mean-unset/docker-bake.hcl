target "p" {
  description = "d"
  context = "c"
  dockerfile = "D"
  tags = ["t"]
  args = { a = "1" }
  labels = { l = "1" }
  target = "s"
  pull = true
  platforms = ["linux/amd64"]
}
target "a" {
  inherits = ["p"]
  context = null
  dockerfile = null
  tags = null
  args = null
  labels = { l = null, m = null }
  target = null
  pull = null
  platforms = null
  annotations = null
  contexts = null
  extra-hosts = { h = null }
  entitlements = null
}
