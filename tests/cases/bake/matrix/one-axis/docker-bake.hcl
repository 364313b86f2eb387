target "m" {
  name = "m-${x}"
  matrix = { x = ["b", "a"] }
  args = { x = x }
}
group "default" { targets = ["m"] }
