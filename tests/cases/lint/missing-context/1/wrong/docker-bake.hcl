target "default" { dockerfile-inline = "FROM scratch" }
target "default" {
  context = "no"
  contexts = { a = "./gone", b = "docker-image://x", c = "https://example.com/y" }
}
