target "a" {
  description = null
}
