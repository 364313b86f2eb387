target "a" {
  policy = ["log-level=loud"]
}
