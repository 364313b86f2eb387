target "a" {
  platforms = ["foo"]
}
