target "a" {
  resources = { cpu-shares = "x" }
}
