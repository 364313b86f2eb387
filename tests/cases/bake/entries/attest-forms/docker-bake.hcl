target "a" {
  attest = ["TYPE=sbom,Generator=x,DISABLED=false", { type = "provenance", disabled = "true" }, "type=sbom,later=1"]
}
