target "a" {
  tag = ["x"]
  args { k = "v" }
}
whatever "z" { q = nope }
