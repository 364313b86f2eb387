function "f" {
  params = ["a b", 1]
  result = 1
}
target "a" {}
