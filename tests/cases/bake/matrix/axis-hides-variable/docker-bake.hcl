x = "global"
target "m" {
  name = "m-${x}"
  matrix = { x = ["1"] }
  args = { x = x }
}
target "n" { args = { x = x } }
