target "a" {
  attest = null
}
