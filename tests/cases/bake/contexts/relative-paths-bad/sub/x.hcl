target "p" {
  context = "c"
  contexts = { n = "m" }
}
target "q" {}
