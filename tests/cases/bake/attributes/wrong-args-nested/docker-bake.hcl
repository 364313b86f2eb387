target "a" {
  args = { a = ["x"] }
}
