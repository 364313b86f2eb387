target "a" {
  platforms = ["linux/*"]
}
