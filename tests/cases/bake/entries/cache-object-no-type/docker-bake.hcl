target "a" {
  cache-to = [{ ref = "x", mode = "max" }]
}
