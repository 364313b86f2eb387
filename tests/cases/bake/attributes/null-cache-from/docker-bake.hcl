target "a" {
  cache-from = null
}
