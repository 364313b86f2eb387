function "f" {
  params = []
  result = target.a.name
}
target "a" {}
