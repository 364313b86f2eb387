target "a" {
  platforms = ["linux/a b"]
}
