target "default" { dockerfile-inline = "FROM scratch" }
target "a" {
  description       = "d"
  dockerfile-inline = "FROM scratch"
  platforms         = ["linux/amd64", "linux/arm64"]
  contexts          = { b = "target:b" }
}
target "b" {
  dockerfile-inline = "FROM scratch"
  platforms         = ["linux/amd64", "linux/arm64"]
}
