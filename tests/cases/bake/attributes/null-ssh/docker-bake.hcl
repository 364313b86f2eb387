target "a" {
  ssh = null
}
