target "a" {
  contexts = { b = "target:b" }
  platforms = ["linux/arm64"]
}
target "b" { platforms = ["linux/amd64", "linux/386"] }
