target "m" {
  name = "m-${x}"
  matrix = { x = ["1", "2"] }
}
group "m" { targets = ["m-2"] }
