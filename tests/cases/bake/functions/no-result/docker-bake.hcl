function "f" {
  params = []
}
target "a" {}
