function "f" {
  params = []
  result = 1
  other {}
}
target "a" {}
