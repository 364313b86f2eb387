target "a" {
  attest = ["type=sbom,disabled=maybe"]
}
