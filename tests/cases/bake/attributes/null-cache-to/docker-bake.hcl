target "a" {
  cache-to = null
}
