target "a" {
  resources = { memory-swap = "-2" }
}
