target "a" {
  tags = ["t"]
  args = { x = "1" }
  labels = { l = "1" }
  cache-from = ["c1"]
  cache-to = ["c2"]
  output = ["type=image"]
  platforms = ["linux/amd64"]
  secret = ["id=s,env=A"]
  attest = ["type=sbom"]
  annotations = ["a=1"]
  entitlements = ["x"]
  contexts = { c = "1" }
  extra-hosts = { h = "1" }
  policy = ["filename=p"]
  resources = { memory = "1g" }
  dockerfile = "D"
}
target "ab" {}
