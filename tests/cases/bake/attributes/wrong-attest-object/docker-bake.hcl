target "a" {
  attest = {}
}
