target "a" {
  context = "x"
  tags = ["1"]
  args = { a = "1", b = "1" }
  annotations = ["a=1"]
  cache-from = ["r1"]
  cache-to = ["c1"]
  output = ["type=image"]
  secret = ["id=s,env=A", "id=t,env=T"]
  attest = ["type=sbom"]
  resources = { memory = "1g", cpu-shares = 1 }
  description = "one"
  ulimits = ["core=1"]
  no-cache-filter = ["x"]
  entitlements = ["e1"]
  platforms = ["linux/amd64"]
  policy = ["filename=a"]
  labels = { a = "1" }
  inherits = ["p1"]
}
target "a" {
  tags = ["2"]
  args = { b = "2", c = null }
  annotations = ["a=1", "b=2"]
  cache-from = ["r2", "r1"]
  cache-to = ["c2"]
  output = ["type=docker"]
  secret = ["id=s,env=B"]
  attest = ["type=provenance", "type=sbom,disabled=true"]
  resources = { cpu-shares = 2 }
  description = "two"
  ulimits = ["core=1", "cpu=1"]
  no-cache-filter = ["y", "x"]
  entitlements = ["e2"]
  platforms = ["linux/arm64"]
  policy = ["filename=a"]
  labels = { b = "1" }
  inherits = ["p2"]
}
target "p1" { args = { p1 = 1 } }
target "p2" { args = { p2 = 1 } }
