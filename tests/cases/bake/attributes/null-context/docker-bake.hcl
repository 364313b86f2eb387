target "a" {
  contexts = { x = null }
}
