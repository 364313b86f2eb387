target "a" { contexts = { b = "target:b" } }
target "b" {
  contexts = { c = "target:c" }
  output = ["type=docker"]
  entitlements = ["security.insecure"]
}
target "c" { network = "host" }
