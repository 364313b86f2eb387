target "a" {
  cache-to = ["type=registry,foo"]
}
