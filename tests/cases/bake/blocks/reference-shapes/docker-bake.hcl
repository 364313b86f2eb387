target "a" {
  output = ["type=image,name=x", "out"]
  secret = ["id=s,env=E"]
  ssh = [{ id = "k", paths = ["./nokey"] }]
  attest = ["type=sbom,generator=g", "type=provenance,disabled=true"]
  cache-from = ["ref"]
  policy = ["filename=p.rego,strict=true"]
  resources = { memory = "1g", cpu-shares = 5 }
  args = { n = null, s = "v" }
  pull = true
  platforms = ["linux/amd64"]
}
target "b" {
  args = {
    all = jsonencode({ for k, v in target.a : k => v })
    empty = jsonencode({ for k, v in target.c : k => v })
  }
}
target "c" {}
