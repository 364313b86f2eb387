target "m" {
  name = "m-${x}"
  matrix = { x = ["1", "2"] }
  tags = ["t${x}"]
}
target "a" { tags = concat(target.m-1.tags, target.m-2.tags) }
