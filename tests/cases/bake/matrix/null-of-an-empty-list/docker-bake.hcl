target "a" {
  matrix = { x = true ? null : [] }
  name = "a-${x}"
}
target "b" {}
