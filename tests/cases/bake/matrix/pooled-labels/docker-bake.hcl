target "m" {
  name = "m-${x}"
  matrix = { x = ["1", "2"] }
}
target "m" {
  name = "m-${x}"
  matrix = { x = ["2", "3"] }
  args = { x = x }
}
target "m" {}
