target "m" {
  name = "m-${i.n}"
  matrix = { i = [{ n = "x", t = ["1"] }, { n = "y", t = [] }] }
  tags = i.t
}
