function "f" {
  params = []
  result = nope
}
target "a" {}
