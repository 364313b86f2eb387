target "a" {
  context = "c"
  contexts = { n = "../m", i = "docker-image://x", t = "target:b" }
}
target "b" {}
