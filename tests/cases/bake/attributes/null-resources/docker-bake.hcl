target "a" {
  resources = null
}
