target "a" {
  args = "a"
}
